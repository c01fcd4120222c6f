// Opening /dev/kvm, and making VMs of it.
#include "system.h"

#include <fcntl.h>
#include <linux/kvm.h>

#include <cerrno>
#include <string>

#include "../core/undisturbed.h"
#include "arguments.h"
#include "errors.h"
#include "handle.h"
#include "vm.h"

Napi::Function System::Define(Napi::Env env) {
  return DefineClass(env, "System",
                     {InstanceMethod<&System::Ioctl>("ioctl"), InstanceMethod<&System::CreateVm>("createVm"),
                      InstanceMethod<&System::Close>("close")});
}

System::System(const Napi::CallbackInfo& info) : Tagged<System>(info) {
  if (!info[0].IsString()) throw ArgumentError(info.Env(), "path is not a string");
  std::string path = info[0].As<Napi::String>();
  fd_ = OwnedFd(open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd_.open()) throw ErrnoError(info.Env(), "open", errno);
}

int System::fd(Napi::Env env) const {
  if (!fd_.open()) throw ClosedError(env, "the KVM device");
  return fd_.get();
}

Napi::Value System::Ioctl(const Napi::CallbackInfo& info) { return CheckedIoctl(info, fd(info.Env())); }

Napi::Value System::CreateVm(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  uint64_t type = IntegerArgument(info, 0, "type", MAX_SAFE_INTEGER);
  int system = fd(env);
  int run_size = UndisturbedIoctl(system, KVM_GET_VCPU_MMAP_SIZE, 0);
  if (run_size < 0) throw ErrnoError(env, "KVM_GET_VCPU_MMAP_SIZE", errno);
  if (static_cast<size_t>(run_size) < sizeof(kvm_run)) throw ErrnoError(env, "KVM_GET_VCPU_MMAP_SIZE", EINVAL);
  OwnedFd vm(UndisturbedIoctl(system, KVM_CREATE_VM, type));
  if (!vm.open()) throw ErrnoError(env, "KVM_CREATE_VM", errno);
  return Vm::Make(env, std::make_shared<VmState>(std::move(vm), static_cast<size_t>(run_size)));
}

void System::Close(const Napi::CallbackInfo&) { fd_.Close(); }
