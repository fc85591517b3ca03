/* SPDX-License-Identifier: MIT */
/*
 * Owns the vCPUs: which are up, which one the thread that asks is, and the lock that makes Xen one
 * at a time for all of them.
 *
 * A thread is one vCPU (model_set_vcpu). A single thread may play several in turn, and then the
 * host's mappings follow the one it plays; several threads share one process, so then only the
 * kernel's half is mapped (model_threads), which is the same for all.
 */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <pvmm/batch.h>
#include <pvmm/log.h>
#include "arch-xen/spinlock.h"
#include "tests/model/state.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local unsigned int this_vcpu;
static _Thread_local bool holds_lock;

unsigned int pvmm_this_vcpu(void)
{
	return this_vcpu;
}

void model_lock(void)
{
	pthread_mutex_lock(&lock);
	holds_lock = true;
	model.this_vcpu = this_vcpu;
}

void model_unlock(void)
{
	holds_lock = false;
	pthread_mutex_unlock(&lock);
}

void model_relax(void)
{
	sched_yield();
}

void pvmm_vcpu_yield(void)
{
	sched_yield();
}

/* --- event ports for locks (arch-xen/spinlock.h) --- */

static bool has_no_lock_ports;
static bool lock_ports[PVMM_MAX_VCPUS]; /* pending */
static void (*on_lock_wait)(void);
static unsigned int nr_lock_waits, nr_lock_raises;

bool lock_port_is_there(void)
{
	return !has_no_lock_ports;
}

void lock_port_clear(void)
{
	__atomic_store_n(&lock_ports[this_vcpu], false, __ATOMIC_SEQ_CST);
}

void lock_port_wait(void)
{
	__atomic_fetch_add(&nr_lock_waits, 1, __ATOMIC_RELAXED);
	if (on_lock_wait)
		on_lock_wait();
	while (!__atomic_load_n(&lock_ports[this_vcpu], __ATOMIC_SEQ_CST))
		sched_yield();
}

void lock_port_raise(unsigned int vcpu)
{
	__atomic_fetch_add(&nr_lock_raises, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&lock_ports[vcpu], true, __ATOMIC_SEQ_CST);
}

void model_lock_ports(bool are_there, void (*on_wait)(void))
{
	has_no_lock_ports = !are_there;
	on_lock_wait = on_wait;
	nr_lock_waits = nr_lock_raises = 0;
}

unsigned int model_lock_waits(void)
{
	return __atomic_load_n(&nr_lock_waits, __ATOMIC_RELAXED);
}

unsigned int model_lock_raises(void)
{
	return __atomic_load_n(&nr_lock_raises, __ATOMIC_RELAXED);
}

/* A vCPU's batch, from the first time that it comes up on; it is for any machine. */
static void give_batch(unsigned int vcpu)
{
	static void *storage[PVMM_MAX_VCPUS];

	if (!storage[vcpu])
		storage[vcpu] = calloc(1, pvmm_batch_bytes());
	pvmm_batch_give(vcpu, storage[vcpu]);
}

/* A panic that was caught may have left the lock taken. */
void vcpu_reset(void)
{
	if (holds_lock)
		model_unlock();
	this_vcpu = 0;
}

void model_vcpu_up(unsigned int vcpu)
{
	struct vcpu *v = &model.vcpus[vcpu];

	give_batch(vcpu);
	model_lock();
	if (v->up || frame_get_and_type(model.kernel_root, MODEL_L4))
		pvmm_panic("model: vCPU %u cannot come up", vcpu);
	*v = (struct vcpu){.up = true, .root = model.kernel_root, .user_root = NO_MFN};
	tlb_flush(1ULL << vcpu);
	model_unlock();
}

void model_set_vcpu(unsigned int vcpu)
{
	if (!model.vcpus[vcpu].up)
		pvmm_panic("model: vCPU %u is not up", vcpu);
	this_vcpu = vcpu;
	model_lock();
	if (!model.threads) {
		mirror_root_changed();
		mirror_flush();
	}
	model_unlock();
}

void model_threads(bool on)
{
	model_lock();
	model.threads = on;
	mirror_all_changed();
	mirror_flush();
	model_unlock();
}

mfn_t model_root(void)
{
	return _mfn(model.vcpus[this_vcpu].root);
}

mfn_t model_user_root(void)
{
	return _mfn(model.vcpus[this_vcpu].user_root);
}
