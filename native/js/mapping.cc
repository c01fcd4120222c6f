// Guest memory as an object that can be closed.
#include "mapping.h"

#include "arguments.h"
#include "errors.h"

Napi::Function Mapping::Define(Napi::Env env) {
  return DefineClass(env, "Mapping",
                     {InstanceAccessor<&Mapping::Buffer>("buffer"), InstanceMethod<&Mapping::Close>("close")});
}

Mapping::Mapping(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Mapping>(info) {
  auto bytes = static_cast<size_t>(IntegerArgument(info, 0, "bytes", MAX_SAFE_INTEGER));
  range_ = Mapped(info.Env(), MappedRange::Anonymous(bytes));
  view_.Open(info.Env(), range_);
}

const std::shared_ptr<MappedRange>& Mapping::range(Napi::Env env) const {
  if (!range_) throw ClosedError(env, "guest memory");
  return range_;
}

Napi::Value Mapping::Buffer(const Napi::CallbackInfo& info) {
  range(info.Env());
  return view_.buffer();
}

void Mapping::Close(const Napi::CallbackInfo&) {
  if (!range_) return;
  view_.Close();
  range_.reset();
}
