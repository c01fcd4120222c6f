// A vCPU, and running it on the calling thread. Its own thread is in vcpu_start.cc.
#include "vcpu.h"

#include <linux/kvm.h>

#include <cerrno>

#include "../core/clock.h"
#include "../core/run.h"
#include "../core/settle.h"
#include "arguments.h"
#include "constructors.h"
#include "errors.h"
#include "handle.h"
#include "wake.h"

namespace {

// The one that the first argument is the number of.
Vcpu* NumberedVcpu(const Napi::CallbackInfo& info) {
  uint32_t number = 0;
  Vcpu* found = nullptr;
  if (napi_get_value_uint32(info.Env(), info[0], &number) == napi_ok)
    found = static_cast<Addon*>(info.Data())->vcpus->Find(number);
  if (!found) throw ClosedError(info.Env(), "the vCPU");
  return found;
}

}  // namespace

Napi::Function Vcpu::Define(Napi::Env env) {
  return DefineClass(
      env, "Vcpu",
      {InstanceAccessor<&Vcpu::KvmRun>("kvmRun"), InstanceAccessor<&Vcpu::OwnKvmRun>("ownKvmRun"),
       InstanceAccessor<&Vcpu::DeskBuffer>("desk"), InstanceAccessor<&Vcpu::NumberOf>("number"), InstanceMethod<&Vcpu::Ioctl>("ioctl"),
       InstanceMethod<&Vcpu::Settle>("settle"), InstanceMethod<&Vcpu::Start>("start"),
       InstanceMethod<&Vcpu::RunInto>("runInto"), InstanceMethod<&Vcpu::StartInto>("startInto"), InstanceMethod<&Vcpu::Resume>("resume"),
       InstanceMethod<&Vcpu::Kick>("kick"), InstanceMethod<&Vcpu::Pause>("pause"), InstanceMethod<&Vcpu::Halt>("halt"),
       InstanceMethod<&Vcpu::RecordsReady>("recordsReady"),
       InstanceMethod<&Vcpu::Consume>("consume"), InstanceMethod<&Vcpu::Counters>("counters"),
       InstanceMethod<&Vcpu::Close>("close")});
}

Napi::Value Vcpu::Make(Napi::Env env, VcpuParts parts) {
  return MakeOf(env, Constructors::Of(env).vcpu, parts);
}

Vcpu::Vcpu(const Napi::CallbackInfo& info) : Tagged<Vcpu>(info) {
  auto* parts = Given<VcpuParts>(info.Env());
  if (!parts) throw ArgumentError(info.Env(), "a Vcpu comes from Vm.createVcpu");
  parts_ = std::make_shared<VcpuParts>(std::move(*parts));
  own_kvm_run_.Open(info.Env(), parts_->run);
  numbered_ = Addon::Of(info.Env()).vcpus;
  number_ = numbered_->Add(this);
}

// The garbage collector has it, or the environment ends. A running vCPU is not collected: this one waits for somebody
// to look at its exit, and nobody will.
Vcpu::~Vcpu() {
  if (numbered_) numbered_->Remove(number_);
  if (ended_) return;
  wake_->Remove(thread_.get());
  thread_->Stop();
  thread_->Join(kJoinSeconds);
}

VcpuParts& Vcpu::parts(Napi::Env env) {
  if (!parts_) throw ClosedError(env, "the vCPU");
  if (held_) throw CodedError(env, "ERR_VCPU_BUSY", "the vCPU runs on its own thread");
  return *parts_;
}

Napi::Value Vcpu::KvmRun(const Napi::CallbackInfo& info) {
  if (!parts_) throw ClosedError(info.Env(), "the vCPU");
  return kvm_run_.Buffer(info.Env(), parts_->run);
}

Napi::Value Vcpu::OwnKvmRun(const Napi::CallbackInfo& info) {
  if (!parts_) throw ClosedError(info.Env(), "the vCPU");
  return own_kvm_run_.buffer();
}

Napi::Value Vcpu::DeskBuffer(const Napi::CallbackInfo& info) { return desk_.Buffer(info.Env()); }

Napi::Value Vcpu::NumberOf(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), number_); }

Napi::Value Vcpu::Ioctl(const Napi::CallbackInfo& info) { return CheckedIoctl(info, parts(info.Env()).fd.get()); }

// With the limits that lie on the desk. Throws if it cannot be run on this thread.
Run Vcpu::RunOf(Napi::Env env) {
  VcpuParts& vcpu = parts(env);
  if (!ended_) throw CodedError(env, "ERR_VCPU_BUSY", "the vCPU has a thread of its own");
  Run run;
  run.fd = vcpu.fd.get();
  run.page = static_cast<kvm_run*>(vcpu.run->data());
  run.page_size = vcpu.run->size();
  run.limit = {desk_.number(Desk::kSeconds), desk_.number(Desk::kEndsNs)};
  run.again = desk_.number(Desk::kAgain) != 0;
  if (!(run.limit.seconds > 0 && run.limit.seconds <= 1e9)) throw ArgumentError(env, "seconds is not a number in (0, 1e9]");
  return run;
}

// (number): core/run.h; an exit's time goes to the desk.
Napi::Value Vcpu::Enter(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Vcpu* self = NumberedVcpu(info);
  Run run = self->RunOf(env);
  const char* failed = nullptr;
  int error = 0;
  Watch* watch = Watch::Mine(failed, error);
  if (!watch) throw ErrnoError(env, failed, error);
  int result = RunUntil(run, *watch);
  if (result == 0) self->desk_.number(Desk::kStampNs) = static_cast<double>(MonotonicNs());
  return Napi::Number::New(env, result);
}

// (number, request): handle.h.
Napi::Value Vcpu::Ask(const Napi::CallbackInfo& info) {
  Vcpu* self = NumberedVcpu(info);
  return AskIoctl(info, self->parts(info.Env()).fd.get(), self->desk_, self->asked_);
}

// core/settle.h. 0 if it made an exit, -EINTR if there was none; else the errno negated.
Napi::Value Vcpu::Settle(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  VcpuParts& vcpu = parts(env);
  auto* run = static_cast<kvm_run*>(vcpu.run->data());
  return Napi::Number::New(env, SettleVcpu(vcpu.fd.get(), run, vcpu.run->size()));
}

void Vcpu::Close(const Napi::CallbackInfo& info) {
  if (!parts_) return;
  Napi::Env env = info.Env();
  [[maybe_unused]] Napi::Value self = Value();
  if (!ended_) {
    thread_->Stop();
    ended_ = thread_->Join(kJoinSeconds);
    wake_->Remove(thread_.get());
    Release(env);
  }
  bool ended = ended_;
  ended_ = true;
  // A thread that has not ended holds the file descriptor and the mapping for as long as it needs them.
  if (ended) parts_->fd.Close();
  on_news_.Reset();
  parts_.reset();
  kvm_run_.Close();
  own_kvm_run_.Close();
  if (!ended) throw CodedError(env, "ERR_VCPU_STOP", "the vCPU's thread did not end");
}
