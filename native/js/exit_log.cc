// A machine's log of exits, as JavaScript reads it.
#include "exit_log.h"

#include <cstring>

#include "arguments.h"
#include "errors.h"

Napi::Function ExitLogObject::Define(Napi::Env env) {
  return DefineClass(env, "ExitLog",
                     {InstanceAccessor<&ExitLogObject::Control>("control"), InstanceMethod<&ExitLogObject::Begin>("begin"),
                      InstanceMethod<&ExitLogObject::Count>("count"), InstanceMethod<&ExitLogObject::Part>("part")});
}

ExitLogObject::ExitLogObject(const Napi::CallbackInfo& info)
    : Tagged<ExitLogObject>(info), log_(std::make_shared<ExitLog>()) {}

// A buffer over memory of the log, which lives as long as it. The library alone has it: nobody moves it away.
static Napi::Value BufferOf(Napi::Env env, const std::shared_ptr<ExitLog>& log, void* data, size_t size) {
  using Held = std::shared_ptr<ExitLog>;
  return Napi::ArrayBuffer::New(env, data, size, [](Napi::Env, void*, Held* held) { delete held; }, new Held(log));
}

std::shared_ptr<ExitLog> ExitLogObject::Argument(const Napi::CallbackInfo& info, size_t index) {
  ExitLogObject* object = Of(info[index]);
  if (!object) throw ArgumentError(info.Env(), "log is no ExitLog");
  return object->log();
}

Napi::Value ExitLogObject::Control(const Napi::CallbackInfo& info) {
  return BufferOf(info.Env(), log_, log_->words(), ExitLog::kWords * sizeof(uint32_t));
}

// (reasons, numbers): a byte for each reason that nobody has to look at; and as 32-bit words the goal's kind, reason, port,
// value, vcpu, the two halves of count and of vcpus, the ports fault, assert and end, and of an exit that is half of something
// its reason, the offset and the value of a word.
void ExitLogObject::Begin(const Napi::CallbackInfo& info) {
  constexpr size_t kNumbers = 15;
  Bytes reasons = BytesArgument(info, 0, "reasons");
  Bytes numbers = BytesArgument(info, 1, "numbers");
  if (numbers.size != kNumbers * sizeof(uint32_t)) throw ArgumentError(info.Env(), "numbers are not 15");
  uint32_t words[kNumbers];
  memcpy(words, numbers.data, sizeof words);
  std::bitset<256> set;
  for (size_t at = 0; at < reasons.size; at++) set.set(reasons.data[at]);
  LogGoal goal;
  goal.kind = words[0];
  goal.reason = words[1];
  goal.port = words[2];
  goal.value = words[3];
  goal.vcpu = words[4];
  goal.count = words[5] | uint64_t{words[6]} << 32;
  goal.vcpus = words[7] | uint64_t{words[8]} << 32;
  LogPorts ports;
  ports.fault = static_cast<uint16_t>(words[9]);
  ports.assertion = static_cast<uint16_t>(words[10]);
  ports.end = static_cast<uint16_t>(words[11]);
  log_->Begin(set, goal, ports, {words[12], words[13], words[14]});
}

Napi::Value ExitLogObject::Count(const Napi::CallbackInfo& info) {
  auto slot = static_cast<uint32_t>(IntegerArgument(info, 0, "slot", UINT32_MAX - 1));
  return Napi::Boolean::New(info.Env(), log_->Count(slot));
}

// (index): the slots of that part, or null.
Napi::Value ExitLogObject::Part(const Napi::CallbackInfo& info) {
  auto index = static_cast<size_t>(IntegerArgument(info, 0, "index", 64));
  LogRecord* part = log_->part(index);
  if (!part) return info.Env().Null();
  return BufferOf(info.Env(), log_, part, ExitLog::PartSize(index) * sizeof(LogRecord));
}
