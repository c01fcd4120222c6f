// The files of VFIO.
#pragma once

#include <napi.h>

#include <memory>

#include "../core/owned_fd.h"
#include "tagged.h"

// An open file of VFIO's: `new VfioFile(name)` for a container ("vfio") or a group ("7", "noiommu-0") of /dev/vfio; a
// device's comes from a group's `device(name)`. Each method is one ioctl: the kernel's own result, or the errno negated.
// No address goes through here, and the configuration space cannot be written: a function cannot become bus master by it.
class VfioFile : public Tagged<VfioFile> {
 public:
  static constexpr uint64_t kTag = 7;
  static constexpr const char* kName = "VfioFile";

  static Napi::Function Define(Napi::Env env);
  explicit VfioFile(const Napi::CallbackInfo& info);

  // The file that `value` is; throws for anything else, and for a closed one.
  static const std::shared_ptr<OwnedFd>& From(const Napi::Value& value);

 private:
  Napi::Value CheckExtension(const Napi::CallbackInfo& info);
  Napi::Value SetIommu(const Napi::CallbackInfo& info);
  Napi::Value GroupStatus(const Napi::CallbackInfo& info);
  Napi::Value SetContainer(const Napi::CallbackInfo& info);
  Napi::Value OpenDevice(const Napi::CallbackInfo& info);
  Napi::Value DeviceInfo(const Napi::CallbackInfo& info);
  Napi::Value IrqInfo(const Napi::CallbackInfo& info);
  Napi::Value SetIrqs(const Napi::CallbackInfo& info);
  Napi::Value RegionInfo(const Napi::CallbackInfo& info);
  Napi::Value ReadRegion(const Napi::CallbackInfo& info);
  Napi::Value WriteRegion(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  int fd(Napi::Env env) const;

  std::shared_ptr<OwnedFd> fd_;
};
