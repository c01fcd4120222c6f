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

Bytes BytesOf(const Napi::Value& value, const char* name) {
  if (value.IsDataView()) {
    auto view = value.As<Napi::DataView>();
    return {static_cast<uint8_t*>(view.Data()), view.ByteLength()};
  }
  if (!value.IsTypedArray()) throw ArgumentError(value.Env(), std::string(name) + " is not a buffer");
  auto array = value.As<Napi::TypedArray>();
  return {static_cast<uint8_t*>(array.ArrayBuffer().Data()) + array.ByteOffset(), array.ByteLength()};
}

Bytes BytesArgument(const Napi::CallbackInfo& info, size_t index, const char* name) {
  return BytesOf(info[index], name);
}
