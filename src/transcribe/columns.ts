/** Two columns: ideographs, kana, hangul, and full-width forms (UAX #11, W and F). */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\uffe0-\uffe6]|[\u{20000}-\u{3fffd}]/u;

/** How wide a character is shown, in columns of a terminal. */
export const columnsOf = (character: string): 1 | 2 => (WIDE.test(character) ? 2 : 1);
