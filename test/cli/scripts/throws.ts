interface Typed {
  word: string;
}
const typed: Typed = { word: 'on purpose' };
throw new Error(`thrown ${typed.word}`);
