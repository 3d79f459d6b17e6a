#include <exception>
#include <iostream>

#include "recipes/reference.hpp"

int main() {
  try {
    std::cout << fulgur::recipe_reference() << std::flush;
    return std::cout ? 0 : 1;
  } catch (const std::exception& error) {
    std::cerr << "fulgur_recipe_reference: " << error.what() << '\n';
    return 1;
  }
}
