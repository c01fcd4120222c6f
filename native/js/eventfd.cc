// An eventfd as an object that can be closed.
#include "eventfd.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>

#include "addon.h"
#include "arguments.h"
#include "errors.h"
#include "poller.h"

Napi::Function EventFd::Define(Napi::Env env) {
  return DefineClass(env, "EventFd",
                     {InstanceMethod<&EventFd::Read>("read"), InstanceMethod<&EventFd::Write>("write"),
                      InstanceMethod<&EventFd::Wait>("wait"), InstanceMethod<&EventFd::Close>("close")});
}

EventFd::EventFd(const Napi::CallbackInfo& info) : Tagged<EventFd>(info) {
  fd_ = std::make_shared<OwnedFd>(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd_->open()) throw ErrnoError(info.Env(), "eventfd", errno);
}

const std::shared_ptr<OwnedFd>& EventFd::fd(Napi::Env env) const {
  if (!fd_) throw ClosedError(env, "the EventFd");
  return fd_;
}

const std::shared_ptr<OwnedFd>& EventFd::From(const Napi::Value& value) {
  Napi::Env env = value.Env();
  EventFd* event = Of(value);
  if (!event) throw ArgumentError(env, "event is not an EventFd");
  return event->fd(env);
}

// The counter as a bigint, which it sets back to 0; null while it is 0.
Napi::Value EventFd::Read(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  uint64_t count;
  if (read(fd(env)->get(), &count, sizeof count) < 0) {
    if (errno == EAGAIN) return env.Null();
    throw ErrnoError(env, "read", errno);
  }
  return Napi::BigInt::New(env, count);
}

void EventFd::Write(const Napi::CallbackInfo& info) {
  uint64_t count = BigIntArgument(info, 0, "count");
  if (write(fd(info.Env())->get(), &count, sizeof count) < 0) throw ErrnoError(info.Env(), "write", errno);
}

void EventFd::Wait(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  double seconds = info[0].IsNumber() ? info[0].As<Napi::Number>().DoubleValue() : -1;
  if (!(seconds >= 0 && seconds <= 1e6)) throw ArgumentError(env, "seconds is not a number in 0..1e6");
  if (!info[1].IsFunction()) throw ArgumentError(env, "callback is not a function");
  Poller::Of(env)->Wait(env, fd(env), seconds, info[1].As<Napi::Function>());
}

void EventFd::Close(const Napi::CallbackInfo& info) {
  if (!fd_) return;
  const std::shared_ptr<Poller>& poller = Addon::Of(info.Env()).poller;
  if (poller) poller->Cancel(fd_);
  fd_.reset();
}
