// What `require` of the addon gives.
#include "addon.h"

#include "device.h"
#include "eventfd.h"
#include "exit_log.h"
#include "mapping.h"
#include "random.h"
#include "stats.h"
#include "system.h"
#include "vcpu.h"
#include "vfio.h"
#include "vm.h"

Constructors& Constructors::Of(Napi::Env env) { return Addon::Of(env).constructors; }

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  auto* addon = new Addon;
  env.SetInstanceData(addon);
  Constructors* constructors = &Constructors::Of(env);
  Napi::Function mapping = Mapping::Define(env);
  constructors->vm = Napi::Persistent(Vm::Define(env));
  constructors->vcpu = Napi::Persistent(Vcpu::Define(env));
  exports.Set("Mapping", mapping);
  Napi::Function system = System::Define(env);
  exports.Set("System", system);
  Napi::Function event_fd = EventFd::Define(env);
  exports.Set("EventFd", event_fd);
  exports.Set("ExitLog", ExitLogObject::Define(env));
  Napi::Function vfio_file = VfioFile::Define(env);
  constructors->vfio_file = Napi::Persistent(vfio_file);
  exports.Set("VfioFile", vfio_file);
  constructors->device = Napi::Persistent(Device::Define(env));
  constructors->stats = Napi::Persistent(Stats::Define(env));
  exports.Set("enter", Napi::Function::New<Vcpu::Enter>(env, "enter", addon));
  exports.Set("askVcpu", Napi::Function::New<Vcpu::Ask>(env, "askVcpu", addon));
  exports.Set("askVm", Napi::Function::New<Vm::Ask>(env, "askVm", addon));
  exports.Set("sendMsi", Napi::Function::New<Vm::SendMsi>(env, "sendMsi", addon));
  exports.Set("deviceAttr", Napi::Function::New(env, DeviceAttrOf, "deviceAttr"));
  exports.Set("reseedRandom", Napi::Function::New(env, ReseedRandom, "reseedRandom"));
  exports.Set("statsOf", Napi::Function::New(env, StatsOf, "statsOf"));
  return exports;
}

NODE_API_MODULE(kvm_dsm, Init)
