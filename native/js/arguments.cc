// Reading the arguments of a call from JavaScript.
#include "arguments.h"

#include <cmath>

#include "errors.h"

uint64_t IntegerArgument(const Napi::CallbackInfo& info, size_t index, const char* name, double max) {
  Napi::Value value = info[index];
  double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
  if (!(number >= 0 && number <= max) || number != std::floor(number))
    throw ArgumentError(info.Env(), std::string(name) + " is not an integer in its range");
  return static_cast<uint64_t>(number);
}

uint64_t BigIntArgument(const Napi::CallbackInfo& info, size_t index, const char* name) {
  bool lossless = false;
  uint64_t number = 0;
  if (info[index].IsBigInt()) number = info[index].As<Napi::BigInt>().Uint64Value(&lossless);
  if (!lossless) throw ArgumentError(info.Env(), std::string(name) + " is not a bigint in 0..2^64-1");
  return number;
}

namespace {

// How many bytes an element has; 0 for a type that Node-API does not know, such as Float16Array.
size_t ElementSize(int type) {
  switch (type) {
    case napi_int8_array:
    case napi_uint8_array:
    case napi_uint8_clamped_array:
      return 1;
    case napi_int16_array:
    case napi_uint16_array:
      return 2;
    case napi_int32_array:
    case napi_uint32_array:
    case napi_float32_array:
      return 4;
    case napi_float64_array:
    case napi_bigint64_array:
    case napi_biguint64_array:
      return 8;
    default:
      return 0;
  }
}

}  // namespace

Bytes BytesOf(const Napi::Value& value, const char* name) {
  Napi::Env env = value.Env();
  napi_value buffer = nullptr;
  size_t offset = 0;
  size_t size = 0;
  bool known = false;
  if (value.IsDataView()) {
    known = napi_get_dataview_info(env, value, &size, nullptr, &buffer, &offset) == napi_ok;
  } else if (value.IsTypedArray()) {
    auto type = static_cast<napi_typedarray_type>(-1);
    size_t length = 0;
    known = napi_get_typedarray_info(env, value, &type, &length, nullptr, &buffer, &offset) == napi_ok;
    known = known && ElementSize(type) != 0;
    size = length * ElementSize(type);
  }
  // Not of a SharedArrayBuffer: what is checked here is used as it was checked.
  bool own = false;
  if (known) napi_is_arraybuffer(env, buffer, &own);
  if (!own) throw ArgumentError(env, std::string(name) + " is not a buffer of this thread");
  void* data = nullptr;
  size_t room = 0;
  if (napi_get_arraybuffer_info(env, buffer, &data, &room) != napi_ok)
    throw ArgumentError(env, std::string(name) + " is not a buffer of this thread");
  if (size == 0) return {nullptr, 0};
  // A view keeps its length when its buffer has become shorter, or is gone.
  if (!data || offset > room || size > room - offset)
    throw ArgumentError(env, std::string(name) + " reaches past the end of its buffer");
  return {static_cast<uint8_t*>(data) + offset, size};
}

Bytes BytesArgument(const Napi::CallbackInfo& info, size_t index, const char* name) {
  return BytesOf(info[index], name);
}
