// SPDX-License-Identifier: GPL-2.0
/*
 * Mistakes of the kinds that a kernel finds by itself: to see that it does, and that
 * what it says is told with the name of the test that was running.
 *
 * kvm.dsm_planted chooses one. It is made once, at the next write of ICR by a guest.
 * On a kernel that does not look for it nothing comes of it: what is read is thrown
 * away, what is written is here.
 */
#include <linux/cpumask.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/workqueue.h>

#include "dsm_planted.h"

enum { PLANTED_NONE, PLANTED_MEMORY, PLANTED_RACE, PLANTED_LOCKS };

static const char *const names[] = {
	[PLANTED_NONE] = "none",
	/* Memory is read after it was freed: KASAN */
	[PLANTED_MEMORY] = "memory",
	/* Two CPUs count, without a lock: KCSAN */
	[PLANTED_RACE] = "race",
	/* Two locks are taken in either order: lockdep */
	[PLANTED_LOCKS] = "locks",
};

int kvm_dsm_planted;

static int planted_set(const char *buf, const struct kernel_param *kp)
{
	int chosen = sysfs_match_string(names, buf);

	if (chosen < 0)
		return chosen;
	WRITE_ONCE(kvm_dsm_planted, chosen);
	return 0;
}

static int planted_get(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "%s\n", names[READ_ONCE(kvm_dsm_planted)]);
}

static const struct kernel_param_ops planted_ops = {
	.set = planted_set,
	.get = planted_get,
};

module_param_cb(dsm_planted, &planted_ops, NULL, 0644);
MODULE_PARM_DESC(dsm_planted, "Mistake that a kernel finds by itself: memory, race or locks");

static noinline void use_freed_memory(void)
{
	u64 *memory = kzalloc(sizeof(*memory), GFP_KERNEL);

	if (!memory)
		return;
	kfree(memory);
	OPTIMIZER_HIDE_VAR(memory);
	(void)READ_ONCE(*memory);
}

/* Plain on purpose */
static unsigned long counted;

static noinline void count(void)
{
	int i;

	for (i = 0; i < 1000000; i++) {
		counted++;
		barrier();
	}
}

static void count_work(struct work_struct *work)
{
	count();
}

static DECLARE_WORK(counting, count_work);

static void count_on_two_cpus(void)
{
	unsigned int other = cpumask_any_but(cpu_online_mask, raw_smp_processor_id());

	if (other >= nr_cpu_ids)
		return;
	schedule_work_on(other, &counting);
	count();
	flush_work(&counting);
}

static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);

static void lock_in_either_order(void)
{
	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);

	mutex_lock(&second);
	mutex_lock(&first);
	mutex_unlock(&first);
	mutex_unlock(&second);
}

void __kvm_dsm_planted(void)
{
	switch (xchg(&kvm_dsm_planted, PLANTED_NONE)) {
	case PLANTED_MEMORY:
		use_freed_memory();
		break;
	case PLANTED_RACE:
		count_on_two_cpus();
		break;
	case PLANTED_LOCKS:
		lock_in_either_order();
		break;
	}
}
