// `wasm-tier.mjs <seconds> [<module>]`, with --allow-natives-syntax: says whether V8 compiles a WebAssembly function anew
// that is called often, after that module was imported. It gives up after so many seconds.
const [seconds, module] = process.argv.slice(2);
if (module) await import(module);

/** (module (func (export "f") (param i32) (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))) */
const countDown = Uint8Array.of(
  ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
  ...[1, 5, 1, 0x60, 1, 0x7f, 0],
  ...[3, 2, 1, 0],
  ...[7, 5, 1, 1, 0x66, 0, 0],
  ...[10, 16, 1, 14, 0, 3, 0x40, 0x20, 0, 0x41, 1, 0x6b, 0x22, 0, 0x0d, 0, 0x0b, 0x0b],
);
const { f } = new WebAssembly.Instance(new WebAssembly.Module(countDown)).exports;
const compiledAnew = new Function('f', 'return %IsTurboFanFunction(f)');

const ends = Date.now() + Number(seconds) * 1000;
do f(10_000);
while (!compiledAnew(f) && Date.now() < ends);
console.log(compiledAnew(f) ? 'compiled anew' : 'as it was');
