/** A vCPU's mapping as a test wants it: kvm_run with one exit, and the PIO page behind it. */
import { RUN_UNION_OFFSET } from '../../../lib/abi/kvm/kvm-run.ts';
import type { Layout } from '../../../lib/abi/layout.ts';

export const PIO_DATA_OFFSET = 4096;

/** kvm_run's first two pages; exit_reason and the union's first bytes are set. */
export function page(reason: number, union: Uint8Array = new Uint8Array(), length = 8192): DataView {
  const bytes = new Uint8Array(length);
  bytes.set(union, RUN_UNION_OFFSET);
  const view = new DataView(bytes.buffer);
  view.setUint32(8, reason, true);
  return view;
}

/** Such a page with a payload written by its layout, `at` bytes into the union. */
export function pageWith<T>(reason: number, payload: Layout<T>, value: Partial<T>, at = 0): DataView {
  const view = page(reason);
  payload.write(view, value, RUN_UNION_OFFSET + at);
  return view;
}
