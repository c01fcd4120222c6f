// Waiting for file descriptors without holding up the event loop.
#pragma once

#include <napi.h>

#include <memory>

#include "../core/waits.h"

// The waits of an environment: core/waits.h, with JavaScript functions that are told of their ends.
class Poller {
 public:
  // The environment's own, made when it is first asked for; its thread ends with the environment. Throws Napi::Error.
  static std::shared_ptr<Poller> Of(Napi::Env env);

  // Calls `callback` with 0 once `fd` is readable, with -ETIME after `seconds`, with -ECANCELED, or with the errno negated
  // by which waiting has failed. Throws Napi::Error if there is no wait.
  void Wait(Napi::Env env, std::shared_ptr<OwnedFd> fd, double seconds, Napi::Function callback);
  // Ends every wait for `fd` with -ECANCELED: it is closed when its owner lets go of it.
  void Cancel(const std::shared_ptr<OwnedFd>& fd) { waits_.Cancel(fd.get()); }

 private:
  static void End(void* poller);

  Waits waits_;
};
