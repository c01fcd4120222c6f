// New random numbers of the kernel's, for a process that goes on from a state that others go on from as well.
#pragma once

#include <napi.h>

Napi::Value ReseedRandom(const Napi::CallbackInfo& info);
