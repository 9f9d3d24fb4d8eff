// Run steps of Python on MicroPython with 32-bit words: node wasm.mjs SETTINGS, a JSON text; see wasm.py.
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const settings = JSON.parse(process.argv[2]);
const { loadMicroPython } = await import(pathToFileURL(settings.interpreter));
const write = (to) => (line) => fs.writeSync(to, line + "\n");
const mp = await loadMicroPython({
    heapsize: settings.heapsize,
    // Python's frames have a stack of their own here; its default ends at a recursion of about ten.
    pystack: 64 * 1024,
    stdout: write(1),
    stderr: write(2),
    romfs: settings.romfs ? new Uint8Array(fs.readFileSync(settings.romfs)) : undefined,
});

function copy(source) {
    if (fs.statSync(source).isDirectory()) {
        mp.FS.mkdirTree(source);
        for (const name of fs.readdirSync(source)) copy(path.join(source, name));
    } else if (/\.(py|mpy|json)$/.test(source)) {
        mp.FS.writeFile(source, fs.readFileSync(source));
    }
}

settings.folders.forEach(copy);
try {
    settings.steps.forEach((step) => mp.runPython(step));
} catch (error) {
    const status = /\nSystemExit: (\d+)\s*$/.exec(error.message);
    if (!status) write(2)(error.message);
    process.exitCode = status ? Number(status[1]) : 1;
}
