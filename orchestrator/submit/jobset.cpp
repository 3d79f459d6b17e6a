#include "orchestrator/submit/jobset.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <cctype>

#include "cluster/exit_codes.hpp"

namespace fulgur {
namespace {

constexpr int kPort = 29400;        // for the agents
constexpr int kGraceSeconds = 300;  // for the checkpoint of a pod that is told to go
constexpr std::size_t kLongestName = 40;

constexpr auto kFinal = std::to_array<int>(
    {kExitUsage, kExitBadData, kExitInUse, kExitAuthentication, kExitRecipe, kExitDoNotRepeat});

// A scalar of YAML in double quotes.
std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  result += '"';
  return result;
}

std::string list_of(const std::vector<std::string>& words) {
  std::vector<std::string> all;
  all.reserve(words.size());
  for (const auto& word : words)
    all.push_back(quoted(word));
  return fmt::format("[{}]", fmt::join(all, ", "));
}

std::string variables(const JobSetRequest& request, const std::string& name) {
  std::string text;
  const auto add = [&text](const std::string& variable, const std::string& value) {
    text += fmt::format("                    - {{name: {}, value: {}}}\n", variable, quoted(value));
  };
  add("FULGUR_COORDINATOR_ADDRESS", fmt::format("{0}-coordinator-0-0.{0}", name));
  add("FULGUR_COORDINATOR_PORT", std::to_string(kPort));
  add("FULGUR_RUN_ID", name);
  add("FULGUR_NODES", std::to_string(request.job.cluster.nodes));
  add("FULGUR_SECRET_FILE", "/etc/fulgur/secret");
  return text;
}

// The template of a pod, and what the two kinds of pods have in common.
std::string pod(const JobSetRequest& request, const std::string& name,
                const std::vector<std::string>& command, bool is_node) {
  auto text =
      fmt::format(R"(          template:
            spec:
              restartPolicy: Never
              terminationGracePeriodSeconds: {}
              containers:
                - name: fulgur
                  image: {}
                  command: {}
                  workingDir: /workspace
                  env:
{})",
                  kGraceSeconds, quoted(request.image), list_of(command), variables(request, name));
  if (is_node) {
    text += R"(                    - name: FULGUR_NODE
                      valueFrom:
                        fieldRef:
                          fieldPath: metadata.annotations['batch.kubernetes.io/job-completion-index']
)";
    if (request.gpus_per_node > 0) {
      text += fmt::format("                  resources: {{limits: {{nvidia.com/gpu: {}}}}}\n",
                          request.gpus_per_node);
    }
  } else {
    text += fmt::format("                  ports: [{{containerPort: {}}}]\n", kPort);
  }
  text += R"(                  volumeMounts:
                    - {name: workspace, mountPath: /workspace}
                    - {name: secret, mountPath: /etc/fulgur, readOnly: true}
                    - {name: shared-memory, mountPath: /dev/shm}
)";
  text += fmt::format(R"(              volumes:
                - {{name: workspace, persistentVolumeClaim: {{claimName: {}}}}}
                - {{name: secret, secret: {{secretName: {}, defaultMode: 0400}}}}
                - {{name: shared-memory, emptyDir: {{medium: Memory}}}}
)",
                      quoted(request.claim), quoted(request.secret));
  return text;
}

std::string coordinator(const JobSetRequest& request, const std::string& name) {
  std::vector<std::string> command{"fulgur", "train"};
  command.insert(command.end(), request.arguments.begin(), request.arguments.end());
  return fmt::format(R"(    - name: coordinator
      replicas: 1
      template:
        spec:
          parallelism: 1
          completions: 1
          completionMode: Indexed
          backoffLimit: 0
          podFailurePolicy:
            rules:
              - action: FailJob
                onExitCodes: {{containerName: fulgur, operator: In, values: [{}]}}
)",
                     fmt::join(kFinal, ", ")) +
         pod(request, name, command, false);
}

std::string nodes(const JobSetRequest& request, const std::string& name) {
  return fmt::format(R"(    - name: node
      replicas: 1
      template:
        spec:
          parallelism: {0}
          completions: {0}
          completionMode: Indexed
          backoffLimit: 0
)",
                     request.job.cluster.nodes) +
         pod(request, name, {"fulgur", "agent"}, true);
}

}  // namespace

std::string kubernetes_name(const std::string& name) {
  std::string result;
  for (const char c : name.substr(0, kLongestName)) {
    const auto letter = static_cast<unsigned char>(c);
    result += std::isalnum(letter) != 0 ? static_cast<char>(std::tolower(letter)) : '-';
  }
  while (!result.empty() && result.back() == '-')
    result.pop_back();
  while (!result.empty() && result.front() == '-')
    result.erase(0, 1);
  return result.empty() ? "run" : result;
}

std::string jobset(const JobSetRequest& request) {
  const auto name = kubernetes_name(request.job.name);
  const auto head = fmt::format(R"(# The secret of the run, once:
#   kubectl create secret generic {} --from-literal=secret=$(openssl rand -hex 32)
apiVersion: jobset.x-k8s.io/v1alpha2
kind: JobSet
metadata:
  name: {}
spec:
  network: {{enableDNSHostnames: true}}
  successPolicy: {{operator: All, targetReplicatedJobs: [coordinator]}}
  failurePolicy:
    maxRestarts: {}
    rules:
      - name: do-not-repeat
        action: FailJobSet
        onJobFailureReasons: [PodFailurePolicy]
  replicatedJobs:
)",
                                request.secret, name, request.restarts);
  return head + coordinator(request, name) + nodes(request, name);
}

}  // namespace fulgur
