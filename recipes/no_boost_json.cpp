// Compiled where Boost has its headers but not the library of Boost.JSON: the library, from its headers.
#include <boost/json/src.hpp>
