// Sends mail by Nodemailer as it is told on standard input, a JSON object:
//   transport  options of createTransport; messages  each the options of one sendMail
// All messages are begun at once. Prints a JSON list with one result each: {response, accepted} or
// {error, code, responseCode}.
import { text } from 'node:stream/consumers';
import nodemailer from 'nodemailer';

async function send(transporter, message) {
  try {
    const info = await transporter.sendMail(message);
    return { response: info.response, accepted: info.accepted };
  } catch (error) {
    return { error: error.message, code: error.code, responseCode: error.responseCode };
  }
}

const job = JSON.parse(await text(process.stdin));
const transporter = nodemailer.createTransport(job.transport);
const results = await Promise.all(job.messages.map((message) => send(transporter, message)));
transporter.close();
console.log(JSON.stringify(results));
