#include "vcpu.h"

#include <linux/kvm.h>
#include <sys/ioctl.h>

#include <cerrno>

#include "addon.h"
#include "deadline.h"

Napi::Function Vcpu::Define(Napi::Env env) {
  return DefineClass(env, "Vcpu",
                     {InstanceAccessor<&Vcpu::KvmRun>("kvmRun"), InstanceMethod<&Vcpu::Ioctl>("ioctl"),
                      InstanceMethod<&Vcpu::Run>("run"), InstanceMethod<&Vcpu::Close>("close")});
}

Napi::Value Vcpu::Make(Napi::Env env, VcpuParts parts) {
  return Constructors::Of(env).vcpu.New({Napi::External<VcpuParts>::New(env, &parts)});
}

Vcpu::Vcpu(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Vcpu>(info) {
  if (!info[0].IsExternal()) throw ArgumentError(info.Env(), "a Vcpu comes from Vm.createVcpu");
  parts_ = std::move(*info[0].As<Napi::External<VcpuParts>>().Data());
  Napi::ArrayBuffer view = ViewOf(info.Env(), parts_.run);
  kvm_run_ = Napi::Persistent(view);
}

VcpuParts& Vcpu::parts(Napi::Env env) {
  if (!parts_.fd.open()) throw ClosedError(env, "the vCPU");
  return parts_;
}

Napi::Value Vcpu::KvmRun(const Napi::CallbackInfo& info) {
  parts(info.Env());
  return kvm_run_.Value();
}

Napi::Value Vcpu::Ioctl(const Napi::CallbackInfo& info) { return CheckedIoctl(info, parts(info.Env()).fd.get()); }

// (seconds > 0): 0 when kvm_run holds an exit, -ETIME at the deadline, else the errno negated. A signal that is not
// ours (a profiler's, a child's) is no news to the guest or the caller: the guest goes on.
Napi::Value Vcpu::Run(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  VcpuParts& vcpu = parts(env);
  double seconds = info[0].IsNumber() ? info[0].As<Napi::Number>().DoubleValue() : 0;
  if (!(seconds > 0 && seconds <= 1e9)) throw ArgumentError(env, "seconds is not a number in (0, 1e9]");

  auto* run = static_cast<kvm_run*>(vcpu.run->data());
  RunDeadline deadline(run, seconds);
  if (!deadline.ok()) throw ErrnoError(env, "timer_create", errno);
  int result;
  do {
    result = ioctl(vcpu.fd.get(), KVM_RUN, 0) < 0 ? -errno : 0;
  } while (result == -EINTR && !deadline.expired() && !reinterpret_cast<volatile kvm_run*>(run)->immediate_exit);
  if (result == -EINTR && deadline.expired()) result = -ETIME;
  return Napi::Number::New(env, result);
}

void Vcpu::Close(const Napi::CallbackInfo&) {
  if (!parts_.fd.open()) return;
  parts_.fd.Close();
  kvm_run_.Value().Detach();
  kvm_run_.Reset();
  parts_.run.reset();
  parts_.vm.reset();
}
