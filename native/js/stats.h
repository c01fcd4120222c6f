// The statistics of a VM or a vCPU.
#pragma once

#include <napi.h>

#include "../core/owned_fd.h"
#include "tagged.h"

// The statistics of a VM or a vCPU (KVM_GET_STATS_FD): `read(offset, buffer)`, `close()`.
class Stats : public Tagged<Stats> {
 public:
  static constexpr uint64_t kTag = 4;
  static constexpr const char* kName = "Stats";

  static Napi::Function Define(Napi::Env env);
  static Napi::Value Make(Napi::Env env, OwnedFd fd);
  explicit Stats(const Napi::CallbackInfo& info);

 private:
  Napi::Value Read(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  OwnedFd fd_;
};

// statsOf(handle): a Stats of a Vm or a Vcpu, or the errno negated.
Napi::Value StatsOf(const Napi::CallbackInfo& info);
