#include "tests/end_to_end/clusters/mini_slurm.hpp"

#include <pwd.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <fstream>
#include <random>
#include <thread>

#include "tests/end_to_end/clusters/daemon.hpp"
#include "tests/support/processes.hpp"

namespace fulgur::test {
namespace {

namespace fs = std::filesystem;

std::string short_host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) throw std::runtime_error("gethostname");
  const std::string whole = name.data();
  return whole.substr(0, whole.find('.'));
}

std::string user_name() {
  const auto* user = ::getpwuid(::getuid());
  if (user == nullptr) throw std::runtime_error("this user has no name");
  return user->pw_name;
}

void write_key(const fs::path& path) {
  std::random_device random;
  std::ofstream file(path, std::ios::binary);
  for (int i = 0; i < 1024; ++i)
    file.put(static_cast<char>(random()));
  file.close();
  fs::permissions(path, fs::perms::owner_read);
}

std::string tail(const fs::path& path) {
  const auto text = read_text(path);
  return path.filename().string() + ":\n" +
         text.substr(text.size() - std::min<std::size_t>(text.size(), 1500));
}

}  // namespace

MiniSlurm::MiniSlurm() {
  stay_on_one_core();
  const auto& home = folder_.path();
  fs::permissions(home, fs::perms::owner_all | fs::perms::group_exec | fs::perms::others_exec);
  for (const auto* name : {"munge", "state", "spool.n1", "spool.n2"})
    fs::create_directory(home / name);
  fs::permissions(home / "munge", fs::perms(0755));
  write_key(home / "munge/key");
  write_configuration();
  environment_ = {{"SLURM_CONF", (home / "slurm.conf").string()}};
  const auto munge = (home / "munge").string();
  munged_ =
      start_daemon({"/usr/sbin/munged", "--foreground", "--force", "--key-file=" + munge + "/key",
                    "--socket=" + munge + "/s", "--pid-file=" + munge + "/pid",
                    "--log-file=" + munge + "/log", "--seed-file=" + munge + "/seed"},
                   home, {});
  if (!eventually([&] { return fs::exists(home / "munge/s"); }, std::chrono::seconds(20)))
    throw std::runtime_error("munged does not come up:\n" + munged_->errors());
  slurmctld_ = start_daemon({"/usr/sbin/slurmctld", "-D"}, home, environment_);
  node1_ = start_daemon({"/usr/sbin/slurmd", "-D", "-N", "n1"}, home, environment_);
  node2_ = start_daemon({"/usr/sbin/slurmd", "-D", "-N", "n2"}, home, environment_);
  wait_for_nodes();
}

MiniSlurm::~MiniSlurm() {
  try {
    run({"scancel", "--user=" + user_name()});
    eventually(
        [&] {
          return run({"squeue", "--noheader", "--states=all-active"}).output.empty();
        },
        std::chrono::seconds(10));
    run({"scancel", "--signal=KILL", "--user=" + user_name()});
    for (const auto* each : {&node1_, &node2_, &slurmctld_, &munged_}) {
      (*each)->signal(SIGTERM);
      (*each)->wait(std::chrono::seconds(10));
    }
  } catch (const std::exception&) {
    // What is left is killed with its Program.
  }
}

void MiniSlurm::write_configuration() {
  const auto home = folder_.path().string();
  const auto host = short_host_name();
  const auto user = user_name();
  std::ofstream file(folder_.path() / "slurm.conf");
  file << "ClusterName=fulgur\n"
       << "SlurmctldHost=" << host << "(127.0.0.1)\n"
       << "SlurmctldPort=" << free_port() << "\n"
       << "SlurmUser=" << user << "\nSlurmdUser=" << user << "\n"
       << "AuthType=auth/munge\nCredType=cred/munge\n"
       << "AuthInfo=socket=" << home << "/munge/s,cred_expire=5\n"
       << "StateSaveLocation=" << home << "/state\n"
       << "SlurmdSpoolDir=" << home << "/spool.%n\n"
       << "SlurmctldPidFile=" << home << "/ctld.pid\nSlurmdPidFile=" << home << "/slurmd.%n.pid\n"
       << "SlurmctldLogFile=" << home << "/ctld.log\nSlurmdLogFile=" << home << "/slurmd.%n.log\n"
       << "MpiDefault=none\nSwitchType=switch/none\n"
       << "ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\n"
       << "AccountingStorageType=accounting_storage/none\nJobAcctGatherType=jobacct_gather/none\n"
       << "SelectType=select/cons_tres\nSelectTypeParameters=CR_Core\n"
       << "SchedulerType=sched/backfill\nSchedulerParameters=bf_interval=1,sched_interval=1\n"
       << "SlurmdParameters=config_overrides\nReturnToService=2\n"
       << "JobRequeue=1\nKillWait=20\nMinJobAge=3600\n"
       << "PreemptType=preempt/partition_prio\nPreemptMode=REQUEUE\n";
  for (const auto* node : {"n1", "n2"}) {
    file << "NodeName=" << node << " NodeHostname=" << host
         << " NodeAddr=127.0.0.1 Port=" << free_port() << " CPUs=2 RealMemory=64 State=UNKNOWN\n";
  }
  file << "PartitionName=main Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP PriorityTier=1 "
          "PreemptMode=REQUEUE GraceTime=30\n"
       << "PartitionName=urgent Nodes=n1,n2 MaxTime=INFINITE State=UP PriorityTier=10 "
          "PreemptMode=OFF\n";
}

void MiniSlurm::wait_for_nodes() {
  const bool up = eventually(
      [&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        return run({"sinfo", "--noheader", "--partition=main", "--format=%D %t"}).output ==
               "2 idle\n";
      },
      std::chrono::seconds(60));
  if (!up) throw std::runtime_error("Slurm does not come up:\n" + log_tails());
}

std::string MiniSlurm::log_tails() const {
  const auto& home = folder_.path();
  return tail(home / "ctld.log") + "\n" + tail(home / "slurmd.n1.log") + "\n" +
         tail(home / "slurmd.n2.log") + "\n" + slurmctld_->errors() + node1_->errors();
}

Outcome MiniSlurm::run(std::vector<std::string> command) const {
  return Program(std::move(command), folder_.path(), environment_).wait();
}

std::string MiniSlurm::field(const std::string& job, const std::string& name) const {
  const auto text = run({"scontrol", "--oneliner", "show", "job", job}).output;
  const auto at = text.find(" " + name + "=");
  if (at == std::string::npos) return {};
  const auto begin = at + name.size() + 2;
  return text.substr(begin, text.find_first_of(" \n", begin) - begin);
}

std::string MiniSlurm::state(const std::string& job) const {
  return field(job, "JobState");
}

bool MiniSlurm::reaches(const std::string& job, const std::string& state_name) const {
  return eventually(
      [&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        return state(job) == state_name;
      },
      std::chrono::seconds(90));
}

}  // namespace fulgur::test
