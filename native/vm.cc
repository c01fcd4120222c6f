#include "vm.h"

#include <linux/kvm.h>
#include <sys/ioctl.h>

#include <cerrno>

#include "addon.h"
#include "vcpu.h"

Napi::Function Vm::Define(Napi::Env env) {
  return DefineClass(
      env, "Vm",
      {InstanceMethod<&Vm::Ioctl>("ioctl"), InstanceMethod<&Vm::CreateVcpu>("createVcpu"),
       InstanceMethod<&Vm::SetUserMemoryRegion>("setUserMemoryRegion"),
       InstanceMethod<&Vm::GetDirtyLog>("getDirtyLog"), InstanceMethod<&Vm::ClearDirtyLog>("clearDirtyLog"),
       InstanceMethod<&Vm::SetMsrFilter>("setMsrFilter"), InstanceMethod<&Vm::Irqfd>("irqfd"),
       InstanceMethod<&Vm::Ioeventfd>("ioeventfd"), InstanceMethod<&Vm::CreateDevice>("createDevice"),
       InstanceMethod<&Vm::ReinjectControl>("reinjectControl"), InstanceMethod<&Vm::Close>("close")});
}

Napi::Value Vm::Make(Napi::Env env, std::shared_ptr<VmState> state) {
  return Constructors::Of(env).vm.New({Napi::External<std::shared_ptr<VmState>>::New(env, &state)});
}

Vm::Vm(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Vm>(info) {
  if (!info[0].IsExternal()) throw ArgumentError(info.Env(), "a Vm comes from System.createVm");
  state_ = *info[0].As<Napi::External<std::shared_ptr<VmState>>>().Data();
}

VmState& Vm::state(Napi::Env env) const {
  if (!state_) throw ClosedError(env, "the VM");
  return *state_;
}

Napi::Value Vm::Ioctl(const Napi::CallbackInfo& info) { return CheckedIoctl(info, state(info.Env()).fd.get()); }

Napi::Value Vm::CreateVcpu(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  VmState& vm = state(env);
  uint64_t id = IntegerArgument(info, 0, "vcpu_id", UINT32_MAX);
  OwnedFd fd(ioctl(vm.fd.get(), KVM_CREATE_VCPU, id));
  if (!fd.open()) throw ErrnoError(env, "KVM_CREATE_VCPU", errno);
  std::shared_ptr<MappedRange> run = MappedRange::OfFile(env, fd.get(), vm.run_size);
  return Vcpu::Make(env, VcpuParts{state_, std::move(fd), std::move(run)});
}

// (slot, flags, guest_phys_addr: bigint, mapping | null, offset, memory_size): 0, or the errno negated. The kernel
// reads the address of the mapping from here alone: no address ever comes from JavaScript.
Napi::Value Vm::SetUserMemoryRegion(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  VmState& vm = state(env);
  kvm_userspace_memory_region region = {};
  region.slot = static_cast<uint32_t>(IntegerArgument(info, 0, "slot", UINT32_MAX));
  region.flags = static_cast<uint32_t>(IntegerArgument(info, 1, "flags", UINT32_MAX));
  region.guest_phys_addr = BigIntArgument(info, 2, "guest_phys_addr");
  uint64_t offset = IntegerArgument(info, 4, "offset", MAX_SAFE_INTEGER);
  region.memory_size = IntegerArgument(info, 5, "memory_size", MAX_SAFE_INTEGER);

  std::shared_ptr<MappedRange> range;
  if (!info[3].IsNull()) {
    if (!info[3].IsObject() || !info[3].As<Napi::Object>().InstanceOf(Constructors::Of(env).mapping.Value()))
      throw ArgumentError(env, "memory is not a Mapping");
    range = Mapping::Unwrap(info[3].As<Napi::Object>())->range(env);
    if (offset > range->size() || region.memory_size > range->size() - offset)
      throw ArgumentError(env, "the region reaches past the end of the mapping");
    region.userspace_addr = reinterpret_cast<uint64_t>(range->data()) + offset;
  } else if (region.memory_size != 0) {
    throw ArgumentError(env, "a region with a size needs a mapping");
  }

  if (ioctl(vm.fd.get(), KVM_SET_USER_MEMORY_REGION, &region) < 0) return Napi::Number::New(env, -errno);
  if (range && region.memory_size != 0)
    vm.slots[region.slot] = {range, region.memory_size};
  else
    vm.slots.erase(region.slot);
  return Napi::Number::New(env, 0);
}

void Vm::Close(const Napi::CallbackInfo&) {
  if (!state_) return;
  state_->fd.Close();
  state_.reset();
}
