// The eventfds of a VM: irqfds and ioeventfds.
#include <linux/kvm.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "../core/undisturbed.h"
#include "arguments.h"
#include "errors.h"
#include "eventfd.h"
#include "vm.h"

namespace {

void Forget(VmState& vm, bool io, const std::shared_ptr<OwnedFd>& fd, uint64_t place) {
  auto same = [&](const VmState::Event& event) { return event.io == io && event.fd == fd && event.place == place; };
  auto found = std::find_if(vm.events.begin(), vm.events.end(), same);
  if (found != vm.events.end()) vm.events.erase(found);
}

}  // namespace

// (event, gsi, flags, resample event | null): 0, or the errno negated. The VM holds the events until they are
// deassigned: KVM would drop the irqfd silently if their last holder closed them.
Napi::Value Vm::Irqfd(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::shared_ptr<OwnedFd> event = EventFd::From(info[0]);
  std::shared_ptr<OwnedFd> resample;
  kvm_irqfd irqfd = {};
  irqfd.fd = static_cast<uint32_t>(event->get());
  irqfd.gsi = static_cast<uint32_t>(IntegerArgument(info, 1, "gsi", UINT32_MAX));
  irqfd.flags = static_cast<uint32_t>(IntegerArgument(info, 2, "flags", UINT32_MAX)) &
                ~static_cast<uint32_t>(KVM_IRQFD_FLAG_RESAMPLE);
  if (!info[3].IsNull()) {
    resample = EventFd::From(info[3]);
    irqfd.resamplefd = static_cast<uint32_t>(resample->get());
    irqfd.flags |= KVM_IRQFD_FLAG_RESAMPLE;
  }
  VmState& vm = state(env);
  if (UndisturbedIoctl(vm.fd.get(), KVM_IRQFD, &irqfd) < 0) return Napi::Number::New(env, -errno);
  if (irqfd.flags & KVM_IRQFD_FLAG_DEASSIGN)
    Forget(vm, false, event, irqfd.gsi);
  else
    vm.events.push_back({event, resample, false, irqfd.gsi});
  return Napi::Number::New(env, 0);
}

// (event, the bytes of a struct kvm_ioeventfd whose fd is filled in here): 0, or the errno negated.
Napi::Value Vm::Ioeventfd(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::shared_ptr<OwnedFd> event = EventFd::From(info[0]);
  Bytes bytes = BytesArgument(info, 1, "ioeventfd");
  kvm_ioeventfd io;
  if (bytes.size != sizeof io) throw ArgumentError(env, "the argument is no struct kvm_ioeventfd");
  memcpy(&io, bytes.data, sizeof io);
  io.fd = event->get();
  VmState& vm = state(env);
  if (UndisturbedIoctl(vm.fd.get(), KVM_IOEVENTFD, &io) < 0) return Napi::Number::New(env, -errno);
  if (io.flags & KVM_IOEVENTFD_FLAG_DEASSIGN)
    Forget(vm, true, event, io.addr);
  else
    vm.events.push_back({event, nullptr, true, io.addr});
  return Napi::Number::New(env, 0);
}
