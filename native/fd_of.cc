#include "fd_of.h"

#include "addon.h"
#include "handle.h"
#include "system.h"
#include "vcpu.h"
#include "vm.h"

int FdOf(const Napi::Value& handle) {
  Napi::Env env = handle.Env();
  Constructors& made = Constructors::Of(env);
  if (handle.IsObject()) {
    auto object = handle.As<Napi::Object>();
    if (object.InstanceOf(made.vcpu.Value())) return Vcpu::Unwrap(object)->fd(env);
    if (object.InstanceOf(made.vm.Value())) return Vm::Unwrap(object)->fd(env);
    if (object.InstanceOf(made.system.Value())) return System::Unwrap(object)->fd(env);
  }
  throw ArgumentError(env, "the handle is no System, Vm or Vcpu");
}
