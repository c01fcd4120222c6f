/**
 * A machine of several nodes: the same script on one and on several gives the same counters and the same order. One node is a VM of its own
 * here, so that what KVM delivers by itself goes to its replicas, which never run.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  asm,
  done,
  eoi,
  type GuestCode,
  icr,
  idle,
  initSipiSipi,
  ipi,
  type Machine,
  machine,
  nmi,
  Random,
  type Snippet,
  selfIpi,
  snippet,
  sync,
  waitUntil,
  writeApic,
} from '../../../lib/index.ts';
import { MemoryBus } from '../../../lib/node/transports/memory.ts';
import { noKvm } from '../../support/host.ts';
