// From the thread that waits to JavaScript.
#include "poller.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <system_error>

#include "addon.h"
#include "errors.h"

namespace {

// The result travels as the pointer: nothing is to be allocated on the thread that waits.
void CallJs(Napi::Env env, Napi::Function callback, std::nullptr_t*, void* result) {
  if (env == nullptr) return;
  callback.Call({Napi::Number::New(env, static_cast<double>(reinterpret_cast<intptr_t>(result)))});
}

// A JavaScript function that is called once from another thread, and given back: also if it is not called.
class Callback {
 public:
  Callback(Napi::Env env, Napi::Function function) : function_(Threadsafe::New(env, function, "kvm-dsm wait", 0, 1)) {}
  ~Callback() {
    if (!gone_) function_.Release();
  }
  Callback(const Callback&) = delete;
  Callback& operator=(const Callback&) = delete;

  void Call(int result) {
    napi_status status = function_.NonBlockingCall(reinterpret_cast<void*>(static_cast<intptr_t>(result)));
    // The environment is ending: it has taken our hold already.
    gone_ = status == napi_closing;
  }

 private:
  using Threadsafe = Napi::TypedThreadSafeFunction<std::nullptr_t, void, CallJs>;
  Threadsafe function_;
  bool gone_ = false;
};

}  // namespace

std::shared_ptr<Poller> Poller::Of(Napi::Env env) {
  std::shared_ptr<Poller>& poller = Addon::Of(env).poller;
  if (poller) return poller;
  std::shared_ptr<Poller> made;
  try {
    made = std::make_shared<Poller>();
  } catch (const std::system_error& error) {
    const std::string what = error.what();
    throw ErrnoError(env, what.substr(0, what.find(':')).c_str(), error.code().value());
  }
  napi_add_env_cleanup_hook(env, End, made.get());
  poller = made;
  return poller;
}

void Poller::End(void* poller) { static_cast<Poller*>(poller)->waits_.End(); }

void Poller::Wait(Napi::Env env, std::shared_ptr<OwnedFd> fd, double seconds, Napi::Function callback) {
  auto told = std::make_shared<Callback>(env, callback);
  int error = waits_.Wait(std::move(fd), seconds, [told](int result) { told->Call(result); });
  if (error) throw ErrnoError(env, "epoll_ctl", error);
}
