/* Reasons why a mail from this machine is not taken: see complaint.h. */
#include "svc/pickup/complaint.h"

/* In the texts, %1, %2 and %3 are the complaint's words. */
static const struct {
    const char *enhanced, *english, *japanese;
} reasons[COMPLAINT_REASONS] = {
    [COMPLAINT_BAD_SENDER] = {"5.1.7", "the sender address \"%1\" is none: %2",
                              "差出人「%1」はメールアドレスではありません（%2）。"},
    [COMPLAINT_FOREIGN_SENDER] =
        {"5.7.1",
         "the user %1 may not send as %2, but as: %3; submit.senders in the server's configuration "
         "gives more addresses",
         "利用者 %1 が使える差出人は %3 です。%2 からは送れません。設定の submit.senders "
         "で追加できます。"},
    [COMPLAINT_BAD_RECIPIENT] = {"5.1.3", "this is no address: %1",
                                 "メールアドレスではありません（%1）。"},
    [COMPLAINT_NO_MAILBOX] =
        {"5.1.1", "there is no such mailbox here; check the spelling",
         "このサーバーにそのメールボックスはありません。つづりをお確かめください。"},
    [COMPLAINT_ALIAS_LOOP] = {"5.4.6", "its aliases lead in a circle; tell its postmaster",
                              "別名が循環しています。管理者にお知らせください。"},
    [COMPLAINT_SUPPRESSED] =
        {"5.1.1",
         "its server has refused this address again and again, so nothing is sent to it; check it, "
         "or let the administrator take it off the list: hikyaku suppression remove ADDRESS",
         "相手側のサーバーがこのアドレスを繰り返し拒否したため、送信を止めています。アドレスを"
         "お確かめになるか、管理者に解除（hikyaku suppression remove アドレス）をご依頼ください。"},
    [COMPLAINT_PARAMETER] = {"5.5.4", "%1", "送信の指定が受け付けられません（%1）。"},
    [COMPLAINT_LONG_HEADER] = {"5.6.0", "the header is too long: at most %1 bytes",
                               "ヘッダーが長すぎます（上限 %1 バイト）。"},
    [COMPLAINT_NUL] = {"5.6.0", "the message has a NUL byte; send it base64-encoded",
                       "本文に NUL 文字が含まれています。base64 で符号化してお送りください。"},
    [COMPLAINT_MAIL_LOOP] = {"5.4.6", "mail loop: the message has passed through %1 servers",
                             "メールが循環しています（通過したサーバー %1 台）。"},
    [COMPLAINT_TOO_BIG] = {"5.3.4", "the message is too big: at most %1 bytes are taken",
                           "メールが大きすぎます（上限 %1 バイト）。"},
    [COMPLAINT_TOO_MANY_COPIES] = {"5.4.5",
                                   "the aliases of this message lead to too many mailboxes",
                                   "別名の先のメールボックスが多すぎます。"},
    [COMPLAINT_LONG_ENVELOPE] = {"5.5.3",
                                 "too many recipients with long parameters; send fewer at once",
                                 "宛先とその指定が多すぎます。何回かに分けてお送りください。"},
    [COMPLAINT_UNREADABLE_FILE] = {"5.3.5",
                                   "the file in the spool folder may not be read by the server",
                                   "スプールフォルダーのファイルをサーバーが読めません。"},
    [COMPLAINT_FOREIGN_FILE] =
        {"5.7.1", "the file in the spool folder was not made there",
         "スプールフォルダーのファイルは、そこで作られたものではありません。"},
    [COMPLAINT_NO_MAIL] =
        {"5.6.0", "the file in the spool folder is no mail that sendmail has written",
         "スプールフォルダーのファイルは、sendmail が書いたメールではありません。"},
};

const char *complaint_enhanced(const struct complaint *c)
{
    return c->enhanced != NULL ? c->enhanced : reasons[c->reason].enhanced;
}

void complaint_put(const struct complaint *c, bool is_japanese, struct buf *out)
{
    const char *text = is_japanese ? reasons[c->reason].japanese : reasons[c->reason].english;

    for (const char *p = text; *p != '\0'; p++) {
        if (p[0] == '%' && p[1] >= '1' && p[1] < '1' + COMPLAINT_WORDS)
            buf_put_str(out, c->words[*++p - '1']);
        else
            buf_put_char(out, *p);
    }
}
