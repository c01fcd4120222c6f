// Ioctls that JavaScript names by their number.
#include "handle.h"

#include <cerrno>

#include "../core/request.h"
#include "../core/undisturbed.h"
#include "arguments.h"
#include "errors.h"
#include "system.h"
#include "vcpu.h"
#include "vm.h"

int FdOf(const Napi::Value& handle) {
  Napi::Env env = handle.Env();
  if (Vcpu* vcpu = Vcpu::Of(handle)) return vcpu->fd(env);
  if (Vm* vm = Vm::Of(handle)) return vm->fd(env);
  if (System* system = System::Of(handle)) return system->fd(env);
  throw ArgumentError(env, "the handle is no System, Vm or Vcpu");
}

namespace {

void ThrowIf(Napi::Env env, const std::optional<Refusal>& refusal) {
  if (!refusal) return;
  if (refusal->kind == Refusal::kArgument) throw ArgumentError(env, refusal->why);
  throw RefusedError(env, refusal->why);
}

}  // namespace

Napi::Value CheckedIoctl(const Napi::CallbackInfo& info, int fd) {
  Napi::Env env = info.Env();
  auto request = static_cast<uint32_t>(IntegerArgument(info, 0, "request", UINT32_MAX));
  if (info[1].IsTypedArray() || info[1].IsDataView()) {
    Bytes bytes = BytesArgument(info, 1, "argument");
    int result;
    ThrowIf(env, IoctlWithBuffer(fd, request, bytes.data, bytes.size, result));
    return Napi::Number::New(env, result);
  }
  ThrowIf(env, CheckNoBuffer(request));
  unsigned long argument = info[1].IsUndefined() ? 0 : IntegerArgument(info, 1, "argument", MAX_SAFE_INTEGER);
  return Answer(env, UndisturbedIoctl(fd, request, argument));
}

Napi::Value CheckedUnreadable(const Napi::CallbackInfo& info, int fd) {
  Napi::Env env = info.Env();
  auto request = static_cast<uint32_t>(IntegerArgument(info, 0, "request", UINT32_MAX));
  int result;
  ThrowIf(env, IoctlUnreadable(fd, request, result));
  return Napi::Number::New(env, result);
}

Napi::Value AskIoctl(const Napi::CallbackInfo& info, int fd, const Desk& desk, uint32_t& asked) {
  Napi::Env env = info.Env();
  uint32_t request = 0;
  if (napi_get_value_uint32(env, info[1], &request) != napi_ok) throw ArgumentError(env, "request is not a number");
  // 0 is what `asked` is at first, and no request.
  if (request == 0 || request != asked) {
    ThrowIf(env, CheckWhole(request, Desk::kArgumentRoom));
    asked = request;
  }
  int result = UndisturbedIoctl(fd, request, desk.argument());
  return Napi::Number::New(env, result == -1 ? -errno : result);
}
