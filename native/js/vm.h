// A VM.
#pragma once

#include <napi.h>

#include <memory>

#include "../core/exit_log.h"
#include "../core/vm_state.h"
#include "desk.h"
#include "tagged.h"

// A VM: `desk`, `number`, `ioctl`, `logMessages(log)`, `createVcpu(id)`, what takes an address or a file descriptor (memory slots, dirty logs, MSR filters,
// irqfds, ioeventfds, devices), `close`.
class Vm : public Tagged<Vm> {
 public:
  static constexpr uint64_t kTag = 8;
  static constexpr const char* kName = "Vm";

  static Napi::Function Define(Napi::Env env);
  static Napi::Value Make(Napi::Env env, std::shared_ptr<VmState> state);
  explicit Vm(const Napi::CallbackInfo& info);
  ~Vm() override;

  // Throws if it is closed.
  int fd(Napi::Env env) const { return state(env).fd.get(); }

  // askVm(number, request): a function of the addon, which takes the ioctl's argument from the desk.
  static Napi::Value Ask(const Napi::CallbackInfo& info);
  // sendMsi(number): a function of the addon. KVM_SIGNAL_MSI with what lies on the desk: the result, or the errno negated.
  static Napi::Value SendMsi(const Napi::CallbackInfo& info);

 private:
  Napi::Value DeskBuffer(const Napi::CallbackInfo& info);
  Napi::Value NumberOf(const Napi::CallbackInfo& info);
  Napi::Value Ioctl(const Napi::CallbackInfo& info);
  Napi::Value IoctlUnreadable(const Napi::CallbackInfo& info);
  void LogMessages(const Napi::CallbackInfo& info);
  Napi::Value CreateVcpu(const Napi::CallbackInfo& info);
  Napi::Value SetUserMemoryRegion(const Napi::CallbackInfo& info);
  Napi::Value GetDirtyLog(const Napi::CallbackInfo& info);
  Napi::Value ClearDirtyLog(const Napi::CallbackInfo& info);
  Napi::Value SetMsrFilter(const Napi::CallbackInfo& info);
  Napi::Value Irqfd(const Napi::CallbackInfo& info);
  Napi::Value Ioeventfd(const Napi::CallbackInfo& info);
  Napi::Value CreateDevice(const Napi::CallbackInfo& info);
  Napi::Value ReinjectControl(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);
  VmState& state(Napi::Env env) const;

  std::shared_ptr<VmState> state_;
  Desk desk_;
  uint32_t asked_ = 0;
  // Where messages that the kernel has taken go; null if nobody wants them.
  std::shared_ptr<ExitLog> log_;
  std::shared_ptr<Numbered<Vm>> numbered_;
  uint32_t number_ = 0;
};
