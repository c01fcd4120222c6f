// Reading statistics by their offset.
#include "stats.h"

#include <linux/kvm.h>
#include <unistd.h>

#include <cerrno>

#include "../core/undisturbed.h"
#include "arguments.h"
#include "constructors.h"
#include "errors.h"
#include "handle.h"

Napi::Function Stats::Define(Napi::Env env) {
  return DefineClass(env, "Stats", {InstanceMethod<&Stats::Read>("read"), InstanceMethod<&Stats::Close>("close")});
}

Stats::Stats(const Napi::CallbackInfo& info) : Tagged<Stats>(info) {
  auto* fd = Given<OwnedFd>(info.Env());
  if (!fd) throw ArgumentError(info.Env(), "a Stats comes from statsOf");
  fd_ = std::move(*fd);
}

Napi::Value Stats::Make(Napi::Env env, OwnedFd fd) { return MakeOf(env, Constructors::Of(env).stats, fd); }

// (offset, buffer): how many bytes came.
Napi::Value Stats::Read(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  uint64_t offset = IntegerArgument(info, 0, "offset", MAX_SAFE_INTEGER);
  Bytes buffer = BytesArgument(info, 1, "buffer");
  if (!fd_.open()) throw ClosedError(env, "the statistics");
  ssize_t result = pread(fd_.get(), buffer.data, buffer.size, static_cast<off_t>(offset));
  if (result < 0) throw ErrnoError(env, "pread", errno);
  return Napi::Number::New(env, static_cast<double>(result));
}

void Stats::Close(const Napi::CallbackInfo&) { fd_.Close(); }

Napi::Value StatsOf(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  OwnedFd fd(UndisturbedIoctl(FdOf(info[0]), KVM_GET_STATS_FD, 0));
  if (!fd.open()) return Napi::Number::New(env, -errno);
  return Stats::Make(env, std::move(fd));
}
