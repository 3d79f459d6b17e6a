#include "recipes/parameters.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <map>
#include <string>

#include "tests/recipes/some_jobs.hpp"

namespace fulgur {
namespace {

std::map<std::string, Parameter> by_name(const ModelSpec& model) {
  std::map<std::string, Parameter> named;
  for (auto& parameter : parameters(model, WeightDecayOn::kMatrices))
    named.emplace(parameter.name, parameter);
  return named;
}

std::string group_of(const Parameter& parameter, const ModelSpec& model) {
  const auto& name = parameter.name;
  if (name == "embedding" || name == "head") return "embeddings";
  if (name.find(".experts.") != std::string::npos) return "experts";
  if (name.ends_with(".router")) return "routers";
  if (name.find(".attention.") == std::string::npos) return "norms";
  const bool softmax = attention_kind(model, parameter.layer) == AttentionKind::kSoftmax;
  return softmax ? "softmax" : "lightning";
}

TEST_SUITE("recipes/parameters") {
  TEST_CASE("MiniMax-Text-01 has exactly 456,089,655,296 parameters, in the groups of the paper") {
    const auto model = test::minimax_text_01();
    std::map<std::string, std::int64_t> sums;
    for (const auto& parameter : parameters(model, WeightDecayOn::kMatrices))
      sums[group_of(parameter, model)] += parameter.count();
    CHECK(sums["experts"] == 434'865'438'720);
    CHECK(sums["routers"] == 15'728'640);
    CHECK(sums["lightning"] == 17'616'650'240);
    CHECK(sums["softmax"] == 1'132'462'080);
    CHECK(sums["embeddings"] == 2'458'386'432);
    CHECK(sums["norms"] == 989'184);
    CHECK(total_parameters(model) == 456'089'655'296);
  }

  TEST_CASE("45,944,920,064 parameters of MiniMax-Text-01 work on a token") {
    CHECK(active_parameters(test::minimax_text_01()) == 45'944'920'064);
  }

  TEST_CASE("softmax attention stands in every n-th layer, or in those that are listed") {
    auto model = test::minimax_text_01();
    for (std::int64_t layer = 0; layer < model.layers; ++layer) {
      CAPTURE(layer);
      CHECK((attention_kind(model, layer) == AttentionKind::kSoftmax) == (layer % 8 == 7));
    }
    model.softmax_layers = {0, 79};
    CHECK(attention_kind(model, 0) == AttentionKind::kSoftmax);
    CHECK(attention_kind(model, 7) == AttentionKind::kLightning);
    CHECK(attention_kind(model, 79) == AttentionKind::kSoftmax);
  }

  TEST_CASE("the initial distribution of a parameter covers its elements once, in order") {
    for (const auto& parameter : parameters(test::small_job().model, WeightDecayOn::kMatrices)) {
      CAPTURE(parameter.name);
      std::int64_t at = 0;
      for (const auto& part : parameter.init) {
        CHECK(part.begin == at);
        CHECK(part.end > part.begin);
        at = part.end;
      }
      CHECK(at == parameter.count());
    }
  }

  TEST_CASE("values, outputs and experts have the DeepNorm gain, the rest has none") {
    const auto model = test::small_job().model;  // C 64, H d 64, G d 32, E 4, F 48, L 4
    const auto named = by_name(model);
    const double deep = std::pow(32.0, -0.25);
    const auto std_of = [&](const char* name) { return named.at(name).init.at(0).std; };
    CHECK(std_of("embedding") == 0.02);
    CHECK(std_of("head") == doctest::Approx(std::sqrt(2.0 / (264 + 64))));
    CHECK(std_of("layers.0.attention.gate") == doctest::Approx(std::sqrt(2.0 / 128)));
    CHECK(std_of("layers.0.attention.out") == doctest::Approx(deep * std::sqrt(2.0 / 128)));
    CHECK(std_of("layers.3.attention.q") == doctest::Approx(std::sqrt(2.0 / 128)));
    CHECK(std_of("layers.3.attention.k") == doctest::Approx(std::sqrt(2.0 / 96)));
    CHECK(std_of("layers.3.attention.v") == doctest::Approx(deep * std::sqrt(2.0 / 96)));
    CHECK(std_of("layers.3.attention.out") == doctest::Approx(deep * std::sqrt(2.0 / 128)));
    CHECK(std_of("layers.3.router") == doctest::Approx(std::sqrt(2.0 / 68)));
    CHECK(std_of("layers.3.experts.w13") == doctest::Approx(deep * std::sqrt(2.0 / 112)));
    CHECK(std_of("layers.3.experts.w2") == doctest::Approx(deep * std::sqrt(2.0 / 112)));
    for (const auto* norm :
         {"layers.0.norm1", "layers.0.attention.norm", "layers.3.norm2", "final_norm"})
      CHECK(std_of(norm) == 0);
  }

  TEST_CASE("in the fused qkv only v has the DeepNorm gain, head after head") {
    const auto qkv = by_name(test::small_job().model).at("layers.1.attention.qkv");
    CHECK(qkv.shape == std::vector<std::int64_t>{4, 3, 16, 64});
    REQUIRE(qkv.init.size() == 8);
    const double plain = std::sqrt(2.0 / 128);
    for (std::int64_t head = 0; head < 4; ++head) {
      CAPTURE(head);
      const auto& qk = qkv.init[static_cast<std::size_t>(2 * head)];
      const auto& v = qkv.init[static_cast<std::size_t>(2 * head + 1)];
      CHECK(qk.begin == head * 3072);
      CHECK(v.begin == head * 3072 + 2048);
      CHECK(v.end == (head + 1) * 3072);
      CHECK(qk.std == doctest::Approx(plain));
      CHECK(v.std == doctest::Approx(plain * std::pow(32.0, -0.25)));
    }
  }

  TEST_CASE("norms decay only when all parameters do") {
    const auto model = test::small_job().model;
    for (const auto& parameter : parameters(model, WeightDecayOn::kMatrices)) {
      CAPTURE(parameter.name);
      CHECK(parameter.decays == (parameter.shape.size() > 1));
    }
    for (const auto& parameter : parameters(model, WeightDecayOn::kAll))
      CHECK(parameter.decays);
  }

  TEST_CASE("every parameter says which mesh axis cuts which dim") {
    const auto named = by_name(test::small_job().model);
    const auto tp_dim = [&](const char* name) { return named.at(name).tp_dim; };
    CHECK(tp_dim("embedding") == 0);
    CHECK(tp_dim("head") == 0);
    CHECK(tp_dim("layers.0.attention.qkv") == 0);
    CHECK(tp_dim("layers.0.attention.norm") == 0);
    CHECK(tp_dim("layers.0.attention.out") == 1);
    CHECK(tp_dim("layers.0.router") == -1);
    CHECK(tp_dim("layers.0.norm1") == -1);
    for (const auto* name : {"layers.0.experts.w13", "layers.0.experts.w2"}) {
      const auto& experts = named.at(name);
      CHECK(experts.kind == ParameterKind::kExpert);
      CHECK(experts.ep_dim == 0);
      CHECK(experts.etp_dim == 2);
      CHECK(experts.shape[2] == 48);  // the inner width
      CHECK(experts.tp_dim == -1);
    }
    CHECK(named.at("layers.0.router").kind == ParameterKind::kDense);
  }
}

}  // namespace
}  // namespace fulgur
