// What libstdc++ takes for granted of glibc and musl lacks: destructors of a thread's own variables, called when the thread ends.
#include <pthread.h>

#include <cstdlib>

namespace {

struct Ending {
  void (*end)(void*);
  void* of;
  Ending* before;
};

pthread_key_t key;
pthread_once_t once = PTHREAD_ONCE_INIT;

/** The last that was made ends first; one that ends may make another. */
void endAll(void* last) {
  for (auto* at = static_cast<Ending*>(last); at != nullptr;) {
    auto* before = at->before;
    at->end(at->of);
    std::free(at);
    at = before;
  }
}

void makeKey() { pthread_key_create(&key, endAll); }

}  // namespace

extern "C" __attribute__((visibility("hidden"))) int __cxa_thread_atexit_impl(void (*end)(void*), void* of, void*) {
  pthread_once(&once, makeKey);
  auto* ending = static_cast<Ending*>(std::malloc(sizeof(Ending)));
  if (ending == nullptr) return -1;
  *ending = {end, of, static_cast<Ending*>(pthread_getspecific(key))};
  return pthread_setspecific(key, ending);
}
