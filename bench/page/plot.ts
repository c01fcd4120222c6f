// Ratios as bars, as an SVG.
export interface Bar {
  readonly name: string;
  readonly ratio: number;
  readonly aim: number | undefined;
}

const ROW = 22;
const LEFT = 170;
const WIDTH = 560;
const TOP = 34;

/** On a logarithmic scale from 1, as long as C takes. */
export function plot(title: string, bars: readonly Bar[]): string {
  const most = Math.max(2, ...bars.map(({ ratio }) => ratio));
  const x = (ratio: number) => LEFT + (WIDTH * Math.log(Math.max(1, ratio))) / Math.log(most);
  const marks = [1, 2, 5, 10, 20, 50, 100, 200].filter((mark) => mark <= most);
  const height = TOP + ROW * bars.length + 30;
  const lines = marks.map(
    (mark) =>
      `<line x1="${at(x(mark))}" x2="${at(x(mark))}" y1="${TOP - 6}" y2="${height - 24}" stroke="#ccc"/>` +
      `<text x="${at(x(mark))}" y="${height - 8}" text-anchor="middle">${mark}</text>`,
  );
  const rows = bars.map(({ name, ratio, aim }, row) => {
    const y = TOP + ROW * row;
    return [
      `<text x="${LEFT - 8}" y="${y + 13}" text-anchor="end">${name}</text>`,
      bar(ratio, y + 3, 11, '#36c'),
      aim === undefined
        ? ''
        : `<line x1="${at(x(aim))}" x2="${at(x(aim))}" y1="${y - 1}" y2="${y + 16}" stroke="#c00" stroke-width="2"/>`,
    ].join('');
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${LEFT + WIDTH + 40}" height="${height}" font-family="sans-serif" font-size="12">`,
    `<title>${title}</title>`,
    '<rect width="100%" height="100%" fill="#fff"/>',
    `<text x="${LEFT}" y="18" font-size="14">${title}</text>`,
    ...lines,
    ...rows,
    '</svg>',
    '',
  ].join('\n');

  function bar(ratio: number, y: number, thickness: number, colour: string): string {
    return `<rect x="${LEFT}" y="${y}" width="${at(Math.max(1, x(ratio) - LEFT))}" height="${thickness}" fill="${colour}"/>`;
  }
}

const at = (value: number) => value.toFixed(1);
