// Containers, groups and devices: one ioctl for each method.
#include "vfio.h"

#include <fcntl.h>
#include <linux/vfio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <initializer_list>
#include <string>
#include <vector>

#include "../core/undisturbed.h"
#include "arguments.h"
#include "constructors.h"
#include "errors.h"
#include "eventfd.h"

namespace {

// More than any function has: 2048 MSI-X vectors are PCI's limit.
constexpr uint32_t kMaxIrqs = 2048;
// Sizes of what a register access may have.
constexpr size_t kMaxAccess = 8;

Napi::Value Numbers(Napi::Env env, std::initializer_list<double> numbers) {
  Napi::Array array = Napi::Array::New(env, numbers.size());
  uint32_t index = 0;
  for (double number : numbers) array.Set(index++, Napi::Number::New(env, number));
  return array;
}

uint32_t Word(const Napi::CallbackInfo& info, size_t index, const char* name) {
  return static_cast<uint32_t>(IntegerArgument(info, index, name, UINT32_MAX));
}

std::string Text(const Napi::Value& value, const char* name) {
  if (!value.IsString()) throw ArgumentError(value.Env(), std::string(name) + " is not a string");
  return value.As<Napi::String>().Utf8Value();
}

// "vfio", or a group's name.
bool IsName(const std::string& name) {
  const std::string number = name.rfind("noiommu-", 0) == 0 ? name.substr(8) : name;
  return name == "vfio" || (!number.empty() && number.find_first_not_of("0123456789") == std::string::npos);
}

}  // namespace

Napi::Function VfioFile::Define(Napi::Env env) {
  return DefineClass(
      env, "VfioFile",
      {InstanceMethod<&VfioFile::CheckExtension>("checkExtension"), InstanceMethod<&VfioFile::SetIommu>("setIommu"),
       InstanceMethod<&VfioFile::GroupStatus>("groupStatus"), InstanceMethod<&VfioFile::SetContainer>("setContainer"),
       InstanceMethod<&VfioFile::OpenDevice>("device"), InstanceMethod<&VfioFile::DeviceInfo>("deviceInfo"),
       InstanceMethod<&VfioFile::IrqInfo>("irqInfo"), InstanceMethod<&VfioFile::SetIrqs>("setIrqs"),
       InstanceMethod<&VfioFile::RegionInfo>("regionInfo"), InstanceMethod<&VfioFile::ReadRegion>("readRegion"),
       InstanceMethod<&VfioFile::WriteRegion>("writeRegion"), InstanceMethod<&VfioFile::Close>("close")});
}

VfioFile::VfioFile(const Napi::CallbackInfo& info) : Tagged<VfioFile>(info) {
  Napi::Env env = info.Env();
  if (auto* given = Given<OwnedFd>(env)) {
    fd_ = std::make_shared<OwnedFd>(std::move(*given));
    return;
  }
  const std::string name = Text(info[0], "name");
  if (!IsName(name)) throw ArgumentError(env, "name is none of a container or a group");
  const std::string path = "/dev/vfio/" + name;
  fd_ = std::make_shared<OwnedFd>(open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd_->open()) throw ErrnoError(env, "open", errno);
}

int VfioFile::fd(Napi::Env env) const {
  if (!fd_) throw ClosedError(env, "the VFIO file");
  return fd_->get();
}

const std::shared_ptr<OwnedFd>& VfioFile::From(const Napi::Value& value) {
  Napi::Env env = value.Env();
  VfioFile* file = Of(value);
  if (!file) throw ArgumentError(env, "file is not a VfioFile");
  file->fd(env);
  return file->fd_;
}

Napi::Value VfioFile::CheckExtension(const Napi::CallbackInfo& info) {
  unsigned long extension = Word(info, 0, "extension");
  return Answer(info.Env(), UndisturbedIoctl(fd(info.Env()), VFIO_CHECK_EXTENSION, extension));
}

Napi::Value VfioFile::SetIommu(const Napi::CallbackInfo& info) {
  unsigned long type = Word(info, 0, "type");
  return Answer(info.Env(), UndisturbedIoctl(fd(info.Env()), VFIO_SET_IOMMU, type));
}

// VFIO_GROUP_FLAGS_*.
Napi::Value VfioFile::GroupStatus(const Napi::CallbackInfo& info) {
  vfio_group_status status = {};
  status.argsz = sizeof status;
  int result = UndisturbedIoctl(fd(info.Env()), VFIO_GROUP_GET_STATUS, &status);
  return Answer(info.Env(), result < 0 ? result : static_cast<int>(status.flags));
}

Napi::Value VfioFile::SetContainer(const Napi::CallbackInfo& info) {
  int container = From(info[0])->get();
  return Answer(info.Env(), UndisturbedIoctl(fd(info.Env()), VFIO_GROUP_SET_CONTAINER, &container));
}

// A VfioFile.
Napi::Value VfioFile::OpenDevice(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const std::string name = Text(info[0], "name");
  OwnedFd device(UndisturbedIoctl(fd(env), VFIO_GROUP_GET_DEVICE_FD, name.c_str()));
  if (!device.open()) return Napi::Number::New(env, -errno);
  return MakeOf(env, Constructors::Of(env).vfio_file, device);
}

// [flags, num_regions, num_irqs].
Napi::Value VfioFile::DeviceInfo(const Napi::CallbackInfo& info) {
  vfio_device_info device = {};
  device.argsz = sizeof device;
  if (UndisturbedIoctl(fd(info.Env()), VFIO_DEVICE_GET_INFO, &device) < 0) return Answer(info.Env(), -1);
  return Numbers(info.Env(), {double(device.flags), double(device.num_regions), double(device.num_irqs)});
}

// [flags, count].
Napi::Value VfioFile::IrqInfo(const Napi::CallbackInfo& info) {
  vfio_irq_info irq = {};
  irq.argsz = sizeof irq;
  irq.index = Word(info, 0, "index");
  if (UndisturbedIoctl(fd(info.Env()), VFIO_DEVICE_GET_IRQ_INFO, &irq) < 0) return Answer(info.Env(), -1);
  return Numbers(info.Env(), {double(irq.flags), double(irq.count)});
}

// (action, index, start, events): VFIO_IRQ_SET_DATA_NONE and as many IRQs where `events` is a number, and
// VFIO_IRQ_SET_DATA_EVENTFD where it is a list of EventFds or null. VFIO holds the eventfds itself.
Napi::Value VfioFile::SetIrqs(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  uint32_t action = static_cast<uint32_t>(IntegerArgument(info, 0, "action", VFIO_IRQ_SET_ACTION_TYPE_MASK)) &
                    VFIO_IRQ_SET_ACTION_TYPE_MASK;
  std::vector<int32_t> fds;
  // Open until the ioctl is over, whatever a getter of the list does.
  std::vector<std::shared_ptr<OwnedFd>> held;
  vfio_irq_set set = {};
  set.index = Word(info, 1, "index");
  set.start = Word(info, 2, "start");
  if (info[3].IsArray()) {
    auto events = info[3].As<Napi::Array>();
    if (events.Length() > kMaxIrqs) throw ArgumentError(env, "there are too many events");
    for (uint32_t index = 0; index < events.Length(); index++) {
      Napi::Value event = events.Get(index);
      if (!event.IsNull()) held.push_back(EventFd::From(event));
      fds.push_back(event.IsNull() ? -1 : held.back()->get());
    }
    set.count = static_cast<uint32_t>(fds.size());
    set.flags = action | VFIO_IRQ_SET_DATA_EVENTFD;
  } else {
    set.count = static_cast<uint32_t>(IntegerArgument(info, 3, "count", kMaxIrqs));
    set.flags = action | VFIO_IRQ_SET_DATA_NONE;
  }
  std::vector<uint8_t> argument(sizeof set + fds.size() * sizeof(int32_t));
  set.argsz = static_cast<uint32_t>(argument.size());
  memcpy(argument.data(), &set, sizeof set);
  if (!fds.empty()) memcpy(argument.data() + sizeof set, fds.data(), fds.size() * sizeof(int32_t));
  return Answer(env, UndisturbedIoctl(fd(env), VFIO_DEVICE_SET_IRQS, argument.data()));
}

namespace {

bool Region(int fd, uint32_t index, vfio_region_info& region) {
  region = {};
  region.argsz = sizeof region;
  region.index = index;
  return UndisturbedIoctl(fd, VFIO_DEVICE_GET_REGION_INFO, &region) == 0;
}

// Whether an access lies within a region; its offset in the file goes to `place`.
bool Place(const vfio_region_info& region, uint64_t offset, size_t size, off_t& place) {
  if (size > region.size || offset > region.size - size) return false;
  place = static_cast<off_t>(region.offset + offset);
  return true;
}

Bytes AccessOf(const Napi::CallbackInfo& info, size_t index) {
  Bytes bytes = BytesArgument(info, index, "bytes");
  if (bytes.size == 0 || bytes.size > kMaxAccess) throw ArgumentError(info.Env(), "an access has 1 to 8 bytes");
  return bytes;
}

}  // namespace

// [flags, size].
Napi::Value VfioFile::RegionInfo(const Napi::CallbackInfo& info) {
  vfio_region_info region;
  if (!Region(fd(info.Env()), Word(info, 0, "index"), region)) return Answer(info.Env(), -1);
  return Numbers(info.Env(), {double(region.flags), double(region.size)});
}

// (index, offset, bytes): how many were read.
Napi::Value VfioFile::ReadRegion(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  vfio_region_info region;
  uint64_t offset = IntegerArgument(info, 1, "offset", MAX_SAFE_INTEGER);
  Bytes bytes = AccessOf(info, 2);
  off_t place;
  if (!Region(fd(env), Word(info, 0, "index"), region)) return Answer(env, -1);
  if (!Place(region, offset, bytes.size, place)) return Napi::Number::New(env, -ERANGE);
  return Answer(env, static_cast<int>(pread(fd(env), bytes.data, bytes.size, place)));
}

// (index, offset, bytes): how many were written. Of a BAR alone.
Napi::Value VfioFile::WriteRegion(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  vfio_region_info region;
  uint32_t index = static_cast<uint32_t>(IntegerArgument(info, 0, "index", VFIO_PCI_BAR5_REGION_INDEX));
  uint64_t offset = IntegerArgument(info, 1, "offset", MAX_SAFE_INTEGER);
  Bytes bytes = AccessOf(info, 2);
  off_t place;
  if (!Region(fd(env), index, region)) return Answer(env, -1);
  if (!Place(region, offset, bytes.size, place)) return Napi::Number::New(env, -ERANGE);
  return Answer(env, static_cast<int>(pwrite(fd(env), bytes.data, bytes.size, place)));
}

void VfioFile::Close(const Napi::CallbackInfo&) { fd_.reset(); }
