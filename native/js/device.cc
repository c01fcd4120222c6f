// Devices and their attributes.
#include "device.h"

#include <linux/kvm.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "../core/undisturbed.h"
#include "arguments.h"
#include "constructors.h"
#include "errors.h"
#include "eventfd.h"
#include "handle.h"
#include "vfio.h"

namespace {

// How much an attribute takes or gives is known to its device alone. The kernel gets a room that none fills, so that
// a payload that is too short is a wrong value and never memory beyond the buffer.
constexpr size_t kPayloadRoom = 64 << 10;

// The file descriptor of an EventFd or a VfioFile.
int FileOf(const Napi::Value& value) {
  return (VfioFile::Of(value) ? VfioFile::From(value) : EventFd::From(value))->get();
}

// Arguments from `first` on: request, group, attr, payload | null, file | null. The file descriptor of the file, an
// EventFd or a VfioFile, goes into the payload's first four bytes.
Napi::Value DeviceAttr(const Napi::CallbackInfo& info, size_t first, int fd, bool needs_file) {
  Napi::Env env = info.Env();
  uint64_t request = IntegerArgument(info, first, "request", UINT32_MAX);
  if (request != KVM_SET_DEVICE_ATTR && request != KVM_GET_DEVICE_ATTR && request != KVM_HAS_DEVICE_ATTR)
    throw ArgumentError(env, "request is none of a device's");
  kvm_device_attr attr = {};
  attr.group = static_cast<uint32_t>(IntegerArgument(info, first + 1, "group", UINT32_MAX));
  attr.attr = BigIntArgument(info, first + 2, "attr");

  std::vector<uint8_t> room(kPayloadRoom);
  Bytes payload = {nullptr, 0};
  if (!info[first + 3].IsNull()) {
    payload = BytesArgument(info, first + 3, "payload");
    if (payload.size > room.size()) throw ArgumentError(env, "the payload is too long");
    if (payload.size != 0) memcpy(room.data(), payload.data, payload.size);
  }
  bool has_file = !info[first + 4].IsNull();
  if (has_file) {
    if (payload.size < sizeof(int)) throw ArgumentError(env, "the payload has no room for a file descriptor");
    int file = FileOf(info[first + 4]);
    memcpy(room.data(), &file, sizeof file);
  } else if (needs_file && request == KVM_SET_DEVICE_ATTR && payload.size != 0) {
    throw ArgumentError(env, "this device's payloads begin with a file descriptor: give its object");
  }
  attr.addr = reinterpret_cast<uint64_t>(room.data());
  int result = UndisturbedIoctl(fd, request, &attr);
  int saved = errno;
  if (request == KVM_GET_DEVICE_ATTR && result >= 0 && payload.size != 0) memcpy(payload.data, room.data(), payload.size);
  return Napi::Number::New(env, result < 0 ? -saved : result);
}

}  // namespace

Napi::Function Device::Define(Napi::Env env) {
  return DefineClass(env, "Device",
                     {InstanceMethod<&Device::Attr>("attr"), InstanceMethod<&Device::Close>("close")});
}

Napi::Value Device::Make(Napi::Env env, std::shared_ptr<VmState> vm, OwnedFd fd, uint32_t type) {
  Parts parts{std::move(vm), std::move(fd), type};
  return MakeOf(env, Constructors::Of(env).device, parts);
}

Device::Device(const Napi::CallbackInfo& info) : Tagged<Device>(info) {
  auto* parts = Given<Parts>(info.Env());
  if (!parts) throw ArgumentError(info.Env(), "a Device comes from Vm.createDevice");
  parts_ = std::move(*parts);
}

Napi::Value Device::Attr(const Napi::CallbackInfo& info) {
  if (!parts_.fd.open()) throw ClosedError(info.Env(), "the device");
  return DeviceAttr(info, 0, parts_.fd.get(), parts_.type == KVM_DEV_TYPE_VFIO);
}

void Device::Close(const Napi::CallbackInfo&) {
  parts_.fd.Close();
  parts_.vm.reset();
}

Napi::Value DeviceAttrOf(const Napi::CallbackInfo& info) { return DeviceAttr(info, 1, FdOf(info[0]), false); }
