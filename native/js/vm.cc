// A VM, and what is made in it.
#include "vm.h"

#include <linux/kvm.h>

#include <cerrno>
#include <cstring>

#include "../core/clock.h"
#include "../core/undisturbed.h"
#include "arguments.h"
#include "constructors.h"
#include "device.h"
#include "errors.h"
#include "exit_log.h"
#include "handle.h"
#include "vcpu.h"
#include "view.h"

namespace {

// The one that the first argument is the number of.
Vm* NumberedVm(const Napi::CallbackInfo& info) {
  uint32_t number = 0;
  Vm* found = nullptr;
  if (napi_get_value_uint32(info.Env(), info[0], &number) == napi_ok)
    found = static_cast<Addon*>(info.Data())->vms->Find(number);
  if (!found) throw ClosedError(info.Env(), "the VM");
  return found;
}

}  // namespace

Napi::Function Vm::Define(Napi::Env env) {
  return DefineClass(
      env, "Vm",
      {InstanceAccessor<&Vm::DeskBuffer>("desk"), InstanceAccessor<&Vm::NumberOf>("number"),
       InstanceMethod<&Vm::Ioctl>("ioctl"), InstanceMethod<&Vm::IoctlUnreadable>("ioctlUnreadable"),
       InstanceMethod<&Vm::LogMessages>("logMessages"), InstanceMethod<&Vm::CreateVcpu>("createVcpu"),
       InstanceMethod<&Vm::SetUserMemoryRegion>("setUserMemoryRegion"),
       InstanceMethod<&Vm::GetDirtyLog>("getDirtyLog"), InstanceMethod<&Vm::ClearDirtyLog>("clearDirtyLog"),
       InstanceMethod<&Vm::SetMsrFilter>("setMsrFilter"), InstanceMethod<&Vm::Irqfd>("irqfd"),
       InstanceMethod<&Vm::Ioeventfd>("ioeventfd"), InstanceMethod<&Vm::CreateDevice>("createDevice"),
       InstanceMethod<&Vm::ReinjectControl>("reinjectControl"), InstanceMethod<&Vm::Close>("close")});
}

Napi::Value Vm::Make(Napi::Env env, std::shared_ptr<VmState> state) {
  return MakeOf(env, Constructors::Of(env).vm, state);
}

Vm::Vm(const Napi::CallbackInfo& info) : Tagged<Vm>(info) {
  auto* state = Given<std::shared_ptr<VmState>>(info.Env());
  if (!state) throw ArgumentError(info.Env(), "a Vm comes from System.createVm");
  state_ = std::move(*state);
  numbered_ = Addon::Of(info.Env()).vms;
  number_ = numbered_->Add(this);
}

Vm::~Vm() {
  if (numbered_) numbered_->Remove(number_);
}

VmState& Vm::state(Napi::Env env) const {
  if (!state_) throw ClosedError(env, "the VM");
  return *state_;
}

Napi::Value Vm::DeskBuffer(const Napi::CallbackInfo& info) { return desk_.Buffer(info.Env()); }

Napi::Value Vm::NumberOf(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), number_); }

// (number, request): handle.h.
Napi::Value Vm::Ask(const Napi::CallbackInfo& info) {
  Vm* self = NumberedVm(info);
  return AskIoctl(info, self->state(info.Env()).fd.get(), self->desk_, self->asked_);
}

Napi::Value Vm::SendMsi(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Vm* self = NumberedVm(info);
  kvm_msi message;
  static_assert(sizeof message <= Desk::kArgumentRoom);
  memcpy(&message, self->desk_.argument(), sizeof message);
  int result = UndisturbedIoctl(self->state(env).fd.get(), KVM_SIGNAL_MSI, &message);
  if (result < 0) return Napi::Number::New(env, -errno);
  if (self->log_ && !self->log_->Sent(message, result, MonotonicNs())) throw ErrnoError(env, "malloc", ENOMEM);
  return Napi::Number::New(env, result);
}

// (log): each message that the kernel takes goes there from now on.
void Vm::LogMessages(const Napi::CallbackInfo& info) { log_ = ExitLogObject::Argument(info, 0); }

Napi::Value Vm::Ioctl(const Napi::CallbackInfo& info) { return CheckedIoctl(info, state(info.Env()).fd.get()); }

Napi::Value Vm::IoctlUnreadable(const Napi::CallbackInfo& info) {
  return CheckedUnreadable(info, state(info.Env()).fd.get());
}

Napi::Value Vm::CreateVcpu(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  uint64_t id = IntegerArgument(info, 0, "vcpu_id", UINT32_MAX);
  VmState& vm = state(env);
  OwnedFd fd(UndisturbedIoctl(vm.fd.get(), KVM_CREATE_VCPU, id));
  if (!fd.open()) throw ErrnoError(env, "KVM_CREATE_VCPU", errno);
  std::shared_ptr<MappedRange> run = Mapped(env, MappedRange::OfFile(fd.get(), vm.run_size));
  return Vcpu::Make(env, VcpuParts{state_, std::move(fd), std::move(run)});
}

// (type, flags): a Device; null for a test (KVM_CREATE_DEVICE_TEST) that the type passes; else the errno negated.
Napi::Value Vm::CreateDevice(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  kvm_create_device create = {};
  create.type = static_cast<uint32_t>(IntegerArgument(info, 0, "type", UINT32_MAX));
  create.flags = static_cast<uint32_t>(IntegerArgument(info, 1, "flags", UINT32_MAX));
  VmState& vm = state(env);
  if (UndisturbedIoctl(vm.fd.get(), KVM_CREATE_DEVICE, &create) < 0) return Answer(env, -1);
  if (create.flags & KVM_CREATE_DEVICE_TEST) return env.Null();
  return Device::Make(env, state_, OwnedFd(static_cast<int>(create.fd)), create.type);
}

// (reinject: boolean): 0, or the errno negated.
Napi::Value Vm::ReinjectControl(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
#if defined(__x86_64__)
  kvm_reinject_control control = {};
  control.pit_reinject = info[0].ToBoolean().Value() ? 1 : 0;
  return Answer(env, UndisturbedIoctl(state(env).fd.get(), KVM_REINJECT_CONTROL, &control));
#else
  // There is no PIT.
  errno = ENOTTY;
  return Answer(env, -1);
#endif
}

void Vm::Close(const Napi::CallbackInfo&) {
  if (!state_) return;
  state_->fd.Close();
  state_.reset();
}
