#include "cluster/doctor/facts.hpp"

#include <boost/json.hpp>
#include <stdexcept>

namespace fulgur {

std::string to_json(const LibraryFacts& facts) {
  return boost::json::serialize(boost::json::value_from(facts));
}

LibraryFacts library_facts_from_json(const std::string& text) {
  try {
    return boost::json::value_to<LibraryFacts>(boost::json::parse(text));
  } catch (const std::exception& error) {
    throw std::invalid_argument(std::string("the worker's report: ") + error.what());
  }
}

}  // namespace fulgur
