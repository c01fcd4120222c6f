#include "addon.h"

#include "mapping.h"
#include "system.h"
#include "vcpu.h"
#include "vm.h"

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  auto* constructors = new Constructors;
  env.SetInstanceData(constructors);
  Napi::Function mapping = Mapping::Define(env);
  constructors->mapping = Napi::Persistent(mapping);
  constructors->vm = Napi::Persistent(Vm::Define(env));
  constructors->vcpu = Napi::Persistent(Vcpu::Define(env));
  exports.Set("Mapping", mapping);
  exports.Set("System", System::Define(env));
  return exports;
}

NODE_API_MODULE(kvm_dsm, Init)
