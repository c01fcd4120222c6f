// A vCPU.
#pragma once

#include <napi.h>

#include <memory>

#include "../core/mapped_range.h"
#include "../core/owned_fd.h"
#include "../core/run.h"
#include "../core/vcpu_thread.h"
#include "../core/vm_state.h"
#include "desk.h"
#include "tagged.h"
#include "view.h"

struct VcpuParts {
  std::shared_ptr<VmState> vm;
  OwnedFd fd;
  std::shared_ptr<MappedRange> run;
};

class Wake;

// A vCPU: `kvmRun` (the mapped struct kvm_run, for anybody) and `ownKvmRun` (the same, for the library alone), `desk`, `number`,
// `ioctl`, `settle`, `close`; and on a thread of its own: `start`, `resume`, `kick`, `pause`, `halt`, `recordsReady`,
// `consume`, `counters`.
class Vcpu : public Tagged<Vcpu> {
 public:
  static constexpr uint64_t kTag = 6;
  static constexpr const char* kName = "Vcpu";

  static Napi::Function Define(Napi::Env env);
  static Napi::Value Make(Napi::Env env, VcpuParts parts);
  explicit Vcpu(const Napi::CallbackInfo& info);
  ~Vcpu() override;

  // Tells JavaScript what its thread has to say. For Wake.
  // True if more may come soon: JavaScript lets the vCPU go on, or asks for more.
  bool Deliver(Napi::Env env);

  // Throws if it is closed.
  int fd(Napi::Env env) { return parts(env).fd.get(); }

  // enter(number), askVcpu(number, request): functions of the addon, which take their other arguments from the desk.
  static Napi::Value Enter(const Napi::CallbackInfo& info);
  static Napi::Value Ask(const Napi::CallbackInfo& info);

 private:
  Napi::Value KvmRun(const Napi::CallbackInfo& info);
  Napi::Value OwnKvmRun(const Napi::CallbackInfo& info);
  Napi::Value DeskBuffer(const Napi::CallbackInfo& info);
  Napi::Value NumberOf(const Napi::CallbackInfo& info);
  Run RunOf(Napi::Env env);
  Napi::Value Ioctl(const Napi::CallbackInfo& info);
  Napi::Value Settle(const Napi::CallbackInfo& info);
  Napi::Value RunInto(const Napi::CallbackInfo& info);
  Napi::Value Start(const Napi::CallbackInfo& info);
  Napi::Value StartInto(const Napi::CallbackInfo& info);
  void Resume(const Napi::CallbackInfo& info);
  Napi::Value Kick(const Napi::CallbackInfo& info);
  Napi::Value Pause(const Napi::CallbackInfo& info);
  void Halt(const Napi::CallbackInfo& info);
  Napi::Value RecordsReady(const Napi::CallbackInfo& info);
  void Consume(const Napi::CallbackInfo& info);
  Napi::Value Counters(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  // The vCPU, for a call that the kernel would let wait for as long as the guest runs. Throws if it is closed, or on a
  // thread that has not said that it is out of the guest.
  VcpuParts& parts(Napi::Env env);
  VcpuThread& thread(Napi::Env env);
  VcpuThread::Setup SetupOf(const Napi::CallbackInfo& info);
  void StartThread(Napi::Env env, VcpuThread::Setup setup, Napi::Function on_news);
  void Hold(Napi::Env env);
  void Release(Napi::Env env);

  std::shared_ptr<VcpuParts> parts_;
  MappedView kvm_run_;
  OwnView own_kvm_run_;
  Desk desk_;
  uint32_t asked_ = 0;
  std::shared_ptr<Numbered<Vcpu>> numbered_;
  uint32_t number_ = 0;

  // The last one that was started. When it has ended, its counters and its records can still be read.
  std::shared_ptr<VcpuThread> thread_;
  bool ended_ = true;
  std::shared_ptr<RecordRing> ring_;
  std::shared_ptr<MappedRange> ring_memory_;
  std::shared_ptr<Wake> wake_;
  Napi::FunctionReference on_news_;
  // The highest `acked` that JavaScript has had of this thread.
  uint64_t told_ = 0;
  // Running, or with news that JavaScript has not had: this object, its function and the event loop are kept alive.
  bool held_ = false;
};
