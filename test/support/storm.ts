/** Traces that are long enough for a page to show what it can, and how it zooms. */
import { kernelLine, type TraceLine } from '../../lib/picture/file/records.ts';
import { type PreparedRun, preparedTarget, Scene } from './pictures.ts';

/** Eight vCPUs that send to each other, and of 40,000 IPIs one that did not come. */
export function storm(events: number, lost: boolean): PreparedRun {
  const scene = new Scene();
  const counts = Array.from({ length: 8 }, (): Record<number, number> => ({}));
  for (let round = 0; scene.events.length < events; round++) {
    const from = round % 8;
    const to = (round * 3 + 1) % 8;
    const vector = lost && round === 15_000 ? 0xe0 : 0x90 + from;
    scene.icr2(from, to).icr(from, 0x4000 + vector, to);
    if (vector !== 0xe0) counts[to]![vector] = (counts[to]![vector] ?? 0) + 1;
    if (round % 7 === 0) scene.word(from, { kind: 'sync', name: `round ${round}` });
  }
  return { events: scene.events, targets: counts.map((count, vcpu) => preparedTarget(vcpu, count)) };
}

/** As many events of the kernel's beside it, one for each microsecond. @param born when its machine was made, in nanoseconds */
export function kernelStorm(events: number, born: bigint): TraceLine[] {
  return Array.from({ length: events }, (_, at) => {
    const vcpu = at % 8;
    const fields = at % 3 === 0 ? { apicid: vcpu, vec: 0x90 } : { vcpu_id: vcpu, rip: BigInt(at) };
    const event = at % 3 === 0 ? 'kvm_apic_accept_irq' : 'kvm_entry';
    return kernelLine({
      at: born + BigInt(at * 1000 + 300),
      cpu: at % 4,
      tid: 80 + vcpu,
      event,
      fields,
      machine: 1,
      vcpu,
    });
  });
}

/**
 * Zooms in and out and moves, a step for each frame: milliseconds from frame to frame, and of them those that the page's own code takes.
 */
export const moves = `(async () => {
  const canvas = document.getElementById('canvas');
  const next = requestAnimationFrame.bind(window);
  let work = 0;
  window.requestAnimationFrame = (draw) => next((now) => {
    const began = performance.now();
    draw(now);
    work += performance.now() - began;
  });
  const turn = () => new Promise((done) => next(done));
  const frames = [];
  const works = [];
  await turn();
  let last = await turn();
  for (let frame = 0; frame < 240; frame++) {
    const began = performance.now();
    const deltaY = frame % 120 < 60 ? -60 : 60;
    canvas.dispatchEvent(new WheelEvent('wheel', { deltaY, clientX: 500 + frame, clientY: 300, bubbles: true, cancelable: true }));
    if (frame % 3 === 0) dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight' }));
    work = performance.now() - began;
    const now = await turn();
    frames.push(now - last);
    works.push(work);
    last = now;
  }
  const at = (list, part) => list.sort((a, b) => a - b)[Math.floor(list.length * part)];
  return { frames: frames.length, p50: at(frames, 0.5), p95: at(frames, 0.95), work: at(works, 0.95) };
})()`;
