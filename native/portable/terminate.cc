// libstdc++'s handler of an exception that nobody catches prints its type's name, for which it brings a demangler of 47 kB. An
// exception never leaves the addon: node-addon-api hands each one on to JavaScript.
#include <cstdlib>

namespace __gnu_cxx {
void __verbose_terminate_handler() { std::abort(); }
}  // namespace __gnu_cxx
