#include "recipes/schema.hpp"

#include <doctest/doctest.h>

#include <boost/json.hpp>
#include <string>

#include "recipes/fields.hpp"

namespace fulgur {
namespace {

namespace json = boost::json;

TEST_SUITE("recipes/schema") {
  TEST_CASE("every field stands in the schema, and nothing else may") {
    const auto schema = json::parse(recipe_schema());
    std::size_t count = 0;
    for (const auto& field : fields()) {
      const json::value* at = &schema;
      std::string rest(field.name);
      while (!rest.empty()) {
        const auto dot = rest.find('.');
        const auto key = rest.substr(0, dot);
        rest = dot == std::string::npos ? "" : rest.substr(dot + 1);
        CHECK(at->at("additionalProperties") == false);
        REQUIRE(at->at("properties").as_object().contains(key));
        at = &at->at("properties").at(key);
      }
      CAPTURE(field.name);
      CHECK(at->at("description").as_string().starts_with(std::string(field.help)));
      ++count;
    }
    CHECK(count == fields().size());
  }
}

}  // namespace
}  // namespace fulgur
