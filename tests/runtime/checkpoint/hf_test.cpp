#include "runtime/checkpoint/hf.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "recipes/job_json.hpp"
#include "tests/runtime/checkpoint/checkpoint_fixture.hpp"
#include "tests/support/temporary_directory.hpp"

namespace fulgur {
namespace {

namespace fs = std::filesystem;
using test::refusal;

const fs::path kCases = FULGUR_GOLDEN_SOURCE_DIR;

std::vector<fs::path> cases() {
  std::vector<fs::path> folders;
  for (const auto& entry : fs::directory_iterator(kCases)) {
    if (fs::exists(entry.path() / "config.json")) folders.push_back(entry.path());
  }
  REQUIRE(folders.size() >= 2);
  return folders;
}

std::int64_t block_size(const fs::path& folder) {
  const auto text = test::read_file(folder / "config.json");
  return std::stoll(text.substr(text.find("\"block_size\":") + 13));
}

void check_equal(const SafetensorsReader& ours, const SafetensorsReader& theirs) {
  REQUIRE(ours.tensors().size() == theirs.tensors().size());
  for (const auto& tensor : theirs.tensors()) {
    const auto& name = tensor.first;
    CAPTURE(name);
    REQUIRE(ours.has(name));
    REQUIRE(ours.entry(name).shape == tensor.second.shape);
    const auto a = ours.floats(name), b = theirs.floats(name);
    if (!is_hf_buffer(name)) {
      REQUIRE(a == b);
      continue;
    }
    for (std::size_t i = 0; i < a.size(); ++i)
      REQUIRE(std::abs(a[i] - b[i]) <= 1e-6F);
  }
}

// A copy of a case in which a test can break something.
class Copy {
 public:
  explicit Copy(const char* name) {
    fs::copy(kCases / name, path(), fs::copy_options::recursive);
    fs::remove(path() / "golden.safetensors");
  }
  fs::path path() const { return directory_.path() / "model"; }

  void replace(const char* file, const std::string& from, const std::string& to) const {
    auto text = test::read_file(path() / file);
    const auto at = text.find(from);
    REQUIRE(at != std::string::npos);
    test::write_file(path() / file, text.replace(at, from.size(), to));
  }
  test::Refusal refused() const {
    return refusal([&] { HfModel{path()}; });
  }

 private:
  test::TemporaryDirectory directory_;
};

// A model whose softmax layers turn a part of the head.
ModelSpec partial_model() {
  return {.vocabulary = 11,
          .layers = 3,
          .hidden = 6,
          .heads = 4,
          .kv_heads = 2,
          .head_dim = 8,
          .rotary_dim = 4,
          .rope_base = 10000,
          .softmax_every = 2,
          .experts = 3,
          .experts_per_token = 2,
          .expert_hidden = 5,
          .lightning_norm_eps = 1e-6};
}

fs::path save_model(const fs::path& root, const ModelSpec& model) {
  const Job job{.model = model};
  Manifest manifest{.step = 3, .job = to_json(job)};
  std::mt19937 random(1);
  std::vector<std::vector<float>> values;
  std::vector<Piece> pieces;
  const auto all = parameters(model, WeightDecayOn::kMatrices);
  values.reserve(all.size());
  for (const auto& parameter : all) {
    manifest.tensors.push_back({"model/" + parameter.name, parameter.shape});
    values.emplace_back(static_cast<std::size_t>(parameter.count()));
    for (auto& value : values.back())
      value = static_cast<float>(random() % 1000) - 500;
    pieces.push_back({manifest.tensors.back().name, whole_box(parameter.shape), values.back()});
  }
  const auto staging = staging_folder(root, 3);
  manifest.shards.push_back(write_shard(staging, 0, pieces));
  return commit_checkpoint(root, staging, manifest, 2);
}

// Turns the pairs (x[j], x[j + half]), j < angles.size(), of a head.
std::vector<double> turned(std::vector<double> x, const std::vector<double>& angles,
                           std::size_t half) {
  for (std::size_t j = 0; j < angles.size(); ++j) {
    const double a = x[j], b = x[j + half], cosine = std::cos(angles[j]),
                 sine = std::sin(angles[j]);
    x[j] = a * cosine - b * sine;
    x[j + half] = a * sine + b * cosine;
  }
  return x;
}

}  // namespace

TEST_SUITE("runtime/checkpoint/hf") {
  TEST_CASE("import and export give back every tensor of transformers, bit by bit") {
    for (const auto& folder : cases()) {
      CAPTURE(folder);
      const test::TemporaryDirectory root;
      const auto checkpoint =
          import_hf(folder, root.path() / "checkpoints", Job{.name = "imported"});
      CHECK(checkpoint.filename() == "step-0000000000");
      CHECK(verify_checkpoint(checkpoint).empty());
      const auto out = root.path() / "exported";
      const auto remarks = export_hf(checkpoint, out, {.block = block_size(folder)});
      CHECK(remarks.empty());
      check_equal(SafetensorsReader(out), SafetensorsReader(folder));
      CHECK(import_hf_config(out) == import_hf_config(folder));
    }
  }

  TEST_CASE("the model of a folder is the one that its config.json describes") {
    const auto model = import_hf_config(kCases / "minimax-tiny");
    const ModelSpec expected{.vocabulary = 257,
                             .layers = 4,
                             .hidden = 64,
                             .heads = 4,
                             .kv_heads = 2,
                             .head_dim = 16,
                             .rotary_dim = 16,
                             .rope_base = 10000,
                             .softmax_every = 4,
                             .experts = 4,
                             .experts_per_token = 2,
                             .expert_hidden = 96,
                             .norm_eps = 1e-5,
                             .lightning_norm_eps = 1e-6,
                             .lightning_alpha = 1.681792830507429,
                             .softmax_alpha = 1.681792830507429,
                             .moe_alpha = 1.681792830507429,
                             .aux_loss = AuxLoss::kMixtral};
    CHECK(model == expected);
  }

  TEST_CASE("the auxiliary loss counts only with output_router_logits") {
    const Copy copy("minimax-tiny");
    copy.replace("config.json", "\"router_aux_loss_coef\": 0.0", "\"router_aux_loss_coef\": 0.02");
    CHECK(import_hf_config(copy.path()).aux_loss_coef == 0);
    copy.replace("config.json", "\"output_router_logits\": false",
                 "\"output_router_logits\": true");
    CHECK(import_hf_config(copy.path()).aux_loss_coef == 0.02);
  }

  TEST_CASE("without layer_types the kinds of attention alternate, softmax first") {
    const Copy copy("minimax-tiny");
    copy.replace("config.json", "\"layer_types\"", "\"other\"");
    CHECK(import_hf_config(copy.path()).softmax_layers == std::vector<std::int64_t>{0, 2});
  }

  TEST_CASE("the field names of MiniMax-Text-01 are understood") {
    const test::TemporaryDirectory directory;
    test::write_file(directory.path() / "config.json", R"({
      "architectures": ["MiniMaxText01ForCausalLM"], "model_type": "minimax_text_01",
      "attn_type_list": [0, 0, 1, 0, 0, 1], "head_dim": 16, "hidden_act": "silu", "hidden_size": 32,
      "intermediate_size": 24, "layernorm_full_attention_alpha": 3.5565588200778455,
      "layernorm_full_attention_beta": 1.0, "layernorm_linear_attention_alpha": 2.5,
      "layernorm_mlp_alpha": 1.5, "num_attention_heads": 4, "num_key_value_heads": 2,
      "num_experts_per_tok": 2, "num_hidden_layers": 6, "num_local_experts": 4, "postnorm": true,
      "rms_norm_eps": 1e-05, "rope_theta": 10000000, "rotary_dim": 8, "shared_intermediate_size": 0,
      "sliding_window": null, "vocab_size": 100})");
    const auto model = import_hf_config(directory.path());
    CHECK(model.softmax_every == 3);
    CHECK(model.softmax_layers.empty());
    CHECK(model.rotary_dim == 8);
    CHECK(model.rope_base == 1e7);
    CHECK(model.softmax_alpha == 3.5565588200778455);
    CHECK(model.lightning_alpha == 2.5);
    CHECK(model.moe_alpha == 1.5);
  }

  TEST_CASE("a model that cannot be represented is refused by its field") {
    const std::pair<const char*, const char*> changes[] = {
        {"\"hidden_act\": \"silu\"", "\"hidden_act\": \"gelu\""},
        {"\"tie_word_embeddings\": false", "\"tie_word_embeddings\": true"},
        {"\"sliding_window\": null", "\"sliding_window\": 4096"},
        {"\"rope_type\": \"default\"", "\"rope_type\": \"yarn\""},
        {"\"vocab_size\": 257", "\"vocab_size\": \"many\""},
        {"\"num_hidden_layers\": 4", "\"num_hidden_layers\": 5"},
        {"\"num_key_value_heads\": 2", "\"num_key_value_heads\": 3"},
        {"\"hidden_size\": 64", "\"hidden_size\": 9000000000000000000"},
        {"\"head_dim\": 16", "\"head_dim\": -16"},
        {"\"vocab_size\": 257", "\"vocabulary\": 257"},
        {"\"full_attention\"", "\"sparse_attention\""}};
    const char* fields[] = {"hidden_act",
                            "tie_word_embeddings",
                            "sliding_window",
                            "rope_type",
                            "vocab_size",
                            "layer_types",
                            "",
                            "",
                            "",
                            "vocab_size",
                            "layer_types"};
    for (std::size_t i = 0; i < std::size(changes); ++i) {
      const Copy copy("minimax-tiny");
      CAPTURE(changes[i].second);
      copy.replace("config.json", changes[i].first, changes[i].second);
      const auto refused = copy.refused();
      CHECK(refused.kind == CheckpointError::Kind::kInvalid);
      CHECK(refused.says("config.json: "));
      if (*fields[i] != '\0') CHECK(refused.says("`" + std::string(fields[i]) + "`"));
    }
    const Copy copy("minimax-tiny");
    copy.replace("config.json", "MiniMaxForCausalLM", "LlamaForCausalLM");
    copy.replace("config.json", "\"model_type\": \"minimax\"", "\"model_type\": \"llama\"");
    CHECK(copy.refused().says("`model_type`"));
  }

  TEST_CASE("a tensor that is missing, unknown or of another shape is refused by name") {
    const Copy missing("minimax-tiny");
    missing.replace("model.safetensors", "lm_head.weight", "lm_head.weighs");
    CHECK(missing.refused().says("tensor `lm_head.weight`: is missing"));
    const Copy unknown("minimax-tiny");
    unknown.replace("config.json", "\"num_local_experts\": 4", "\"num_local_experts\": 3");
    CHECK(unknown.refused().says("expected the shape [3, 64]"));
    const Copy extra("minimax-tiny");
    extra.replace("model.safetensors", "layers.0.self_attn.slope_rate",
                  "layers.0.self_attn.qkv.bias__");
    CHECK(extra.refused().says("qkv.bias__`: the model that config.json describes has none"));
  }

  TEST_CASE("decay rates that are not ours are refused") {
    const Copy copy("minimax-tiny");
    const std::string name = "model.layers.1.self_attn.slope_rate";
    const auto offset = static_cast<std::size_t>(SafetensorsReader(copy.path()).entry(name).offset);
    auto text = test::read_file(copy.path() / "model.safetensors");
    float rate = 0;
    std::memcpy(&rate, text.data() + offset, sizeof(rate));
    rate += 3e-6F;
    std::memcpy(text.data() + offset, &rate, sizeof(rate));
    test::write_file(copy.path() / "model.safetensors", text);
    CHECK(copy.refused().says("tensor `" + name + "`: head 0 decays at the rate"));
  }

  TEST_CASE("stacked experts, as transformers has them in memory, read the same") {
    const fs::path folder = kCases / "minimax-tiny";
    const HfModel original(folder);
    const test::TemporaryDirectory directory;
    fs::copy_file(folder / "config.json", directory.path() / "config.json");
    std::vector<TensorRecord> records;
    std::vector<float> values;
    for (const auto& parameter : parameters(original.model(), WeightDecayOn::kAll)) {
      for (const auto& tensor : hf_tensors(original.model(), parameter, HfNaming::kMemory))
        records.push_back({tensor.name, tensor.shape});
      const auto part = original.read_parameter(parameter);
      values.insert(values.end(), part.begin(), part.end());
    }
    SafetensorsWriter writer(directory.path() / "model.safetensors", records);
    writer.append(values);
    writer.finish();
    const HfModel stacked(directory.path());
    for (const auto& parameter : parameters(original.model(), WeightDecayOn::kAll))
      CHECK(stacked.read_parameter(parameter) == original.read_parameter(parameter));
  }

  TEST_CASE("a model above the limit is cut into files that read as one") {
    const test::TemporaryDirectory root;
    const auto checkpoint = import_hf(kCases / "minimax-tiny", root.path() / "c", Job{});
    const auto out = root.path() / "out";
    export_hf(checkpoint, out, {.block = 16, .max_file_bytes = 200000});
    CHECK(fs::exists(out / "model.safetensors.index.json"));
    CHECK(!fs::exists(out / "model.safetensors"));
    check_equal(SafetensorsReader(out), SafetensorsReader(kCases / "minimax-tiny"));
  }

  TEST_CASE("an export goes only to a folder that is empty, and is there whole or not at all") {
    const test::TemporaryDirectory root;
    const auto checkpoint = import_hf(kCases / "minimax-tiny", root.path() / "c", Job{});
    const auto out = root.path() / "out";
    fs::create_directory(out);
    test::write_file(out / "mine", "text");
    CHECK(refusal([&] { export_hf(checkpoint, out); }).says("expected a folder that is empty"));
    fs::remove(out / "mine");
    CHECK(export_hf(checkpoint, out / "").empty());
    CHECK(fs::exists(out / "config.json"));
    fs::resize_file(checkpoint / "shard-00000.h5", 9000);
    CHECK_THROWS_AS(export_hf(checkpoint, root.path() / "other"), CheckpointError);
    CHECK(!fs::exists(root.path() / "other"));
    CHECK(!fs::exists(root.path() / ".tmp-other"));
  }

  TEST_CASE("a model that turns a part of the head comes back as it was") {
    auto model = partial_model();
    for (const std::int64_t rotary_dim : {0, 2, 4, 6}) {
      CAPTURE(rotary_dim);
      model.rotary_dim = rotary_dim;
      const test::TemporaryDirectory root;
      const auto checkpoint = save_model(root.path() / "c", model);
      const auto out = root.path() / "out";
      export_hf(checkpoint, out);
      const HfModel back(out);
      CHECK(back.model().rotary_dim == model.rotary_dim);
      CHECK(back.model().rope_base == model.rope_base);
      CheckpointReader reader(checkpoint);
      for (const auto& parameter : parameters(model, WeightDecayOn::kMatrices)) {
        std::vector<float> expected(static_cast<std::size_t>(parameter.count()));
        reader.read("model/" + parameter.name, 0, expected);
        CHECK(back.read_parameter(parameter) == expected);
      }
    }
  }

  TEST_CASE("the exported order of a head's rows turns as ours does") {
    const auto model = partial_model();
    const auto d = static_cast<std::size_t>(model.head_dim),
               r = static_cast<std::size_t>(model.rotary_dim);
    const double position = 7, theta = std::pow(model.rope_base, 2);  // head_dim / rotary_dim
    std::vector<double> ours_angles, their_angles(d / 2, 0);
    for (std::size_t j = 0; j < r / 2; ++j) {
      ours_angles.push_back(position * std::pow(model.rope_base, -2.0 * static_cast<double>(j) /
                                                                     static_cast<double>(r)));
      their_angles[j] =
          position * std::pow(theta, -2.0 * static_cast<double>(j) / static_cast<double>(d));
    }
    const std::vector<double> x = {1, -2, 3, 0.5, 5, -6, 7, 8};
    const auto to_theirs = [&](const std::vector<double>& ours) {
      std::vector<double> theirs(d, std::numeric_limits<double>::quiet_NaN());
      for (std::size_t row = 0; row < d; ++row)
        theirs[static_cast<std::size_t>(hf_rotary_row(model, HfRotary::kProportional,
                                                      static_cast<std::int64_t>(row)))] = ours[row];
      return theirs;
    };
    const auto expected = to_theirs(turned(x, ours_angles, r / 2));
    const auto got = turned(to_theirs(x), their_angles, d / 2);
    for (std::size_t row = 0; row < d; ++row)
      CHECK(got[row] == doctest::Approx(expected[row]).epsilon(1e-12));
  }

  TEST_CASE("what transformers cannot express is told") {
    const test::TemporaryDirectory root;
    auto model = partial_model();
    model.lightning_norm_eps = 1e-5;
    model.aux_loss_coef = 0.01;
    const auto remarks = export_hf(save_model(root.path() / "c", model), root.path() / "out");
    REQUIRE(remarks.size() == 2);
    CHECK(remarks[0].find("lightning_norm_eps") != std::string::npos);
    CHECK(remarks[1].find("gshard") != std::string::npos);
  }
}

}  // namespace fulgur
