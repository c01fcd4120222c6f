// vCPUs on threads of their own.
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "cases.h"

// ---- each exit handled by the vCPU's thread

struct runner {
  pthread_t thread;
  struct vcpu* vcpu;
  uint64_t exits, sum;
};

static void* run_exits(void* argument) {
  struct runner* runner = argument;
  struct kvm_run* run = runner->vcpu->run;
  for (uint64_t i = 0; i < runner->exits; i++) {
    vcpu_run(runner->vcpu);
    runner->sum += run->io.port + *(uint32_t*)((char*)run + run->io.data_offset);
  }
  return 0;
}

void run_on_threads(struct timer* timer, uint64_t exits, const struct work* work) {
  struct vm vm;
  struct runner runners[MOST_VCPUS];
  vm_make(&vm, work->vcpus);
  for (int id = 0; id < work->vcpus; id++) {
    vm_enter(&vm, id, guest_of(work->guest), exits / work->vcpus);
    runners[id] = (struct runner){.vcpu = &vm.vcpus[id], .exits = exits / work->vcpus};
  }
  timer_start(timer);
  for (int id = 0; id < work->vcpus; id++) pthread_create(&runners[id].thread, 0, run_exits, &runners[id]);
  for (int id = 0; id < work->vcpus; id++) pthread_join(runners[id].thread, 0);
  timer_stop(timer);
  vm_close(&vm);
}

// ---- each exit handed to another thread, which lets the vCPU go on

struct parked {
  pthread_t thread;
  struct vcpu* vcpu;
  uint64_t exits;
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  enum { IN_GUEST, OUT, PAUSED } state;
  uint64_t asked, acked;
  int pausing, ending;
};

static void parked_init(struct parked* parked, struct vcpu* vcpu, uint64_t exits) {
  *parked = (struct parked){.vcpu = vcpu, .exits = exits};
  pthread_mutex_init(&parked->mutex, 0);
  pthread_cond_init(&parked->changed, 0);
}

static void become(struct parked* parked, int state) {
  parked->state = state;
  pthread_cond_broadcast(&parked->changed);
}

static void* run_and_park(void* argument) {
  struct parked* parked = argument;
  for (uint64_t i = 0; i < parked->exits; i++) {
    vcpu_run(parked->vcpu);
    pthread_mutex_lock(&parked->mutex);
    become(parked, OUT);
    while (parked->state == OUT) pthread_cond_wait(&parked->changed, &parked->mutex);
    pthread_mutex_unlock(&parked->mutex);
  }
  return 0;
}

void run_parked(struct timer* timer, uint64_t exits, const struct work* work) {
  struct vm vm;
  struct parked parked;
  vm_make(&vm, 1);
  vm_enter(&vm, 0, guest_of(work->guest), exits);
  parked_init(&parked, &vm.vcpus[0], exits);
  uint64_t sum = 0;
  timer_start(timer);
  pthread_create(&parked.thread, 0, run_and_park, &parked);
  for (uint64_t i = 0; i < exits; i++) {
    pthread_mutex_lock(&parked.mutex);
    while (parked.state != OUT) pthread_cond_wait(&parked.changed, &parked.mutex);
    sum += parked.vcpu->run->io.port;
    become(&parked, IN_GUEST);
    pthread_mutex_unlock(&parked.mutex);
  }
  pthread_join(parked.thread, 0);
  timer_stop(timer);
  vm_close(&vm);
}

// ---- a guest that spins, taken out by a signal

static void on_signal(int signal) { (void)signal; }

static void* run_and_attend(void* argument) {
  struct parked* parked = argument;
  struct kvm_run* run = parked->vcpu->run;
  for (;;) {
    int result = ioctl(parked->vcpu->fd, KVM_RUN, 0);
    if (result == 0 || errno != EINTR) run_failed();
    pthread_mutex_lock(&parked->mutex);
    __atomic_store_n(&run->immediate_exit, 0, __ATOMIC_SEQ_CST);
    parked->acked = parked->asked;
    if (parked->pausing) become(parked, PAUSED);
    pthread_cond_broadcast(&parked->changed);
    // The next pause may be asked for before this thread is awake: it ends when its own is taken back.
    while (parked->state == PAUSED && !parked->ending) pthread_cond_wait(&parked->changed, &parked->mutex);
    int ending = parked->ending;
    pthread_mutex_unlock(&parked->mutex);
    if (ending) return 0;
  }
}

static void take_out(struct parked* parked) {
  parked->asked++;
  __atomic_store_n(&parked->vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
  pthread_kill(parked->thread, SIGUSR1);
}

static void spin_begin(struct vm* vm, struct parked* parked, const struct work* work) {
  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGUSR1, &action, 0);
  vm_make(vm, 1);
  vm_enter(vm, 0, guest_of(work->guest), 0);
  parked_init(parked, &vm->vcpus[0], 0);
  pthread_create(&parked->thread, 0, run_and_attend, parked);
}

static void spin_end(struct vm* vm, struct parked* parked) {
  pthread_mutex_lock(&parked->mutex);
  parked->ending = 1;
  take_out(parked);
  pthread_cond_broadcast(&parked->changed);
  pthread_mutex_unlock(&parked->mutex);
  pthread_join(parked->thread, 0);
  vm_close(vm);
}

void kick_running(struct timer* timer, uint64_t kicks, const struct work* work) {
  struct vm vm;
  struct parked parked;
  spin_begin(&vm, &parked, work);
  timer_start(timer);
  for (uint64_t i = 0; i < kicks; i++) {
    pthread_mutex_lock(&parked.mutex);
    take_out(&parked);
    while (parked.acked != parked.asked) pthread_cond_wait(&parked.changed, &parked.mutex);
    pthread_mutex_unlock(&parked.mutex);
  }
  timer_stop(timer);
  spin_end(&vm, &parked);
}

void pause_running(struct timer* timer, uint64_t pauses, const struct work* work) {
  struct vm vm;
  struct parked parked;
  spin_begin(&vm, &parked, work);
  timer_start(timer);
  for (uint64_t i = 0; i < pauses; i++) {
    pthread_mutex_lock(&parked.mutex);
    parked.pausing = 1;
    take_out(&parked);
    while (parked.state != PAUSED) pthread_cond_wait(&parked.changed, &parked.mutex);
    parked.pausing = 0;
    become(&parked, IN_GUEST);
    pthread_mutex_unlock(&parked.mutex);
  }
  timer_stop(timer);
  spin_end(&vm, &parked);
}
