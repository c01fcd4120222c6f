// An eventfd.
#pragma once

#include <napi.h>

#include <memory>

#include "../core/owned_fd.h"
#include "tagged.h"

// An eventfd: `new EventFd()`, `read()`, `write(bigint)`, `wait(seconds, callback)`, `close()`. KVM objects that were
// given it hold it too, since KVM drops an irqfd when the last holder of the file lets go.
class EventFd : public Tagged<EventFd> {
 public:
  static constexpr uint64_t kTag = 2;
  static constexpr const char* kName = "EventFd";

  static Napi::Function Define(Napi::Env env);
  explicit EventFd(const Napi::CallbackInfo& info);

  // Throws if it is closed.
  const std::shared_ptr<OwnedFd>& fd(Napi::Env env) const;
  // The EventFd that `value` is; throws for anything else, and for a closed one.
  static const std::shared_ptr<OwnedFd>& From(const Napi::Value& value);

 private:
  Napi::Value Read(const Napi::CallbackInfo& info);
  void Write(const Napi::CallbackInfo& info);
  void Wait(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  std::shared_ptr<OwnedFd> fd_;
};
