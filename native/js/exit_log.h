// A machine's log of exits.
#pragma once

#include <napi.h>

#include <memory>

#include "../core/exit_log.h"
#include "tagged.h"

// core/exit_log.h for JavaScript: `new ExitLog()`, `control`, `begin(reasons, numbers)`, `count(slot)`, `part(index)`.
class ExitLogObject : public Tagged<ExitLogObject> {
 public:
  static constexpr uint64_t kTag = 9;
  static constexpr const char* kName = "ExitLog";

  static Napi::Function Define(Napi::Env env);
  explicit ExitLogObject(const Napi::CallbackInfo& info);

  const std::shared_ptr<ExitLog>& log() const { return log_; }

  // Argument `index` as one. Throws a TypeError.
  static std::shared_ptr<ExitLog> Argument(const Napi::CallbackInfo& info, size_t index);

 private:
  Napi::Value Control(const Napi::CallbackInfo& info);
  void Begin(const Napi::CallbackInfo& info);
  Napi::Value Count(const Napi::CallbackInfo& info);
  Napi::Value Part(const Napi::CallbackInfo& info);

  std::shared_ptr<ExitLog> log_;
};
