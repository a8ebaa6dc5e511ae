/** A line that the user types into. */

export interface PromptState {
  text: string;
  /** Characters before the cursor. */
  cursor: number;
}

export function startPrompt(text: string): PromptState {
  return { text, cursor: [...text].length };
}

/** The prompt after a key. */
export function typeKey(prompt: PromptState, key: string): PromptState {
  const characters = [...prompt.text];
  const { cursor } = prompt;
  const cutTo = (from: number, to: number): PromptState => ({
    text: [...characters.slice(0, from), ...characters.slice(to)].join(""),
    cursor: from,
  });
  switch (key) {
    case "backspace":
      return cursor === 0 ? prompt : cutTo(cursor - 1, cursor);
    case "delete":
      return cursor === characters.length ? prompt : cutTo(cursor, cursor + 1);
    case "left":
      return { ...prompt, cursor: Math.max(0, cursor - 1) };
    case "right":
      return { ...prompt, cursor: Math.min(characters.length, cursor + 1) };
    case "home":
    case "ctrl+a":
      return { ...prompt, cursor: 0 };
    case "end":
    case "ctrl+e":
      return { ...prompt, cursor: characters.length };
    case "ctrl+u":
      return cutTo(0, cursor);
    case "ctrl+w": {
      const before = characters.slice(0, cursor).join("");
      return cutTo([...before.replace(/\S*\s*$/, "")].length, cursor);
    }
    default:
      if ([...key].length !== 1) return prompt;
      return { text: [...characters.slice(0, cursor), key, ...characters.slice(cursor)].join(""), cursor: cursor + 1 };
  }
}
