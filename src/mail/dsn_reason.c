/*
 * What a status means for people: see dsn_explain in dsn.h.
 *
 * Three tables: the reasons with their texts; rules that lead to them, the surest first; and which
 * words say which thing. Enhanced codes are those of RFC 3463 and its registry (RFC 5248, 7372,
 * 7505, 6531) and those that large providers made up; servers use them loosely, above all 5.7.1,
 * so words win over vague codes and precise codes win over words. The texts are for the sender, who
 * knows nothing of mail servers.
 */
#include "mail/dsn.h"

#include <string.h>

#include "base/cursor.h"

enum { DIAGNOSTIC_MAX_BYTES = 1000 }; /* that are searched for words */

enum reason_id {
    REASON_UNKNOWN_FAILURE,
    REASON_UNKNOWN_DELAY,
    REASON_SUCCESS,
    REASON_NO_USER,
    REASON_NO_DOMAIN,
    REASON_NO_MAIL_DOMAIN,
    REASON_BAD_ADDRESS,
    REASON_MOVED,
    REASON_BAD_SENDER,
    REASON_DISABLED,
    REASON_MAILBOX_FULL,
    REASON_TOO_LARGE,
    REASON_LIST,
    REASON_SYSTEM_FULL,
    REASON_SYSTEM,
    REASON_NO_CONNECTION,
    REASON_CONNECTION_LOST,
    REASON_TIMEOUT,
    REASON_DNS,
    REASON_NO_MAIL_HOST,
    REASON_LOOP,
    REASON_EXPIRED,
    REASON_TOO_LATE,   /* deliver-by, the sender wants it back */
    REASON_LATE,       /* deliver-by, the sender is told */
    REASON_NO_PROMISE, /* deliver-by, the next server does not know it */
    REASON_PROTOCOL,
    REASON_TOO_MANY_RECIPIENTS,
    REASON_CONTENT_TYPE,
    REASON_NO_UTF8,
    REASON_NO_8BIT,
    REASON_AUTHENTICATION, /* SPF, DKIM, DMARC */
    REASON_REVERSE_DNS,
    REASON_TLS,
    REASON_SPAM,
    REASON_VIRUS,
    REASON_REPUTATION,
    REASON_RATE,
    REASON_GREYLISTED,
    REASON_RELAY,
    REASON_LOGIN,
    REASON_NOT_ALLOWED,
    REASON_POLICY,
    REASON_COUNT,
};

/* English, then Japanese. */
static const struct dsn_reason reasons[REASON_COUNT][2] = {
    [REASON_UNKNOWN_FAILURE] =
        {{"The recipient's server refused the message for good.",
          "Its answer may say why. If it does not help, please ask the recipient in another way, "
          "or "
          "show this notice to your administrator."},
         {"相手側のサーバーがメールの受け取りを拒否しました。",
          "サーバーからの応答に理由が書かれていることがあります。お分かりにならないときは、別の方法"
          "で"
          "相手の方にお尋ねになるか、このお知らせを管理者にお見せください。"}},
    [REASON_UNKNOWN_DELAY] =
        {{"The recipient's server could not take the message for the time being.",
          "This usually passes by itself. If it lasts, please try again later or reach the "
          "recipient in another way."},
         {"相手側のサーバーが一時的にメールを受け取れない状態です。",
          "多くの場合は自然に解消します。続くようでしたら、しばらくしてからお送りになるか、別の方法"
          "で"
          "相手の方にご連絡ください。"}},
    [REASON_SUCCESS] = {{"The message was accepted.", ""}, {"メールは受け付けられました。", ""}},
    [REASON_NO_USER] =
        {{"There is no such address at the recipient's server.",
          "Please check the part before the @ for typing errors. If it is right, the address may "
          "have been closed or changed: please ask the recipient in another way."},
         {"宛先のメールアドレスが見つかりませんでした。",
          "@ "
          "より前の部分に打ち間違いがないかお確かめください。間違いがなければ、アドレスが変更または"
          "廃止されている可能性がありますので、別の方法で相手の方にお尋ねください。"}},
    [REASON_NO_DOMAIN] =
        {{"The domain of the address (the part after the @) was not found.",
          "Please check the part after the @ for typing errors, and send the message again to the "
          "right address."},
         {"アドレスのドメイン（@ より後の部分）が見つかりませんでした。",
          "@ "
          "より後の部分に打ち間違いがないかお確かめのうえ、正しいアドレスへもう一度お送りください"
          "。"}},
    [REASON_NO_MAIL_DOMAIN] =
        {{"This address or its domain does not accept any mail.",
          "Please check the address for typing errors, or ask the recipient for another one."},
         {"このアドレス、またはそのドメインはメールを受け付けていません。",
          "アドレスに打ち間違いがないかお確かめになるか、別のアドレスを相手の方にお尋ねください"
          "。"}},
    [REASON_BAD_ADDRESS] =
        {{"The address is not written in a form that the server understands.",
          "Please check it for stray spaces, dots or other characters, and send the message "
          "again."},
         {"アドレスの書き方が正しくないため、受け付けられませんでした。",
          "余分な空白や点などの文字が混じっていないかお確かめのうえ、もう一度お送りください。"}},
    [REASON_MOVED] =
        {{"The recipient has moved to another address.",
          "The server's answer may name the new address; otherwise please ask the recipient."},
         {"相手の方のアドレスは変更されています。",
          "サーバーからの応答に新しいアドレスが書かれていることがあります。書かれていないときは、"
          "相手の方にお尋ねください。"}},
    [REASON_BAD_SENDER] =
        {{"The recipient's server did not accept your own address as the sender.",
          "Please check the sender's address in the settings of your mail program. If it is right, "
          "please show this notice to your administrator."},
         {"差出人のアドレスが、相手側のサーバーに受け付けられませんでした。",
          "メールソフトに設定した差出人のアドレスをお確かめください。正しいときは、このお知らせを"
          "管理者にお見せください。"}},
    [REASON_DISABLED] = {{"The recipient's mailbox exists but is not in use now.",
                          "Please ask the recipient in another way for an address that works."},
                         {"宛先のメールボックスは現在利用できない状態です。",
                          "ご利用中のアドレスを、別の方法で相手の方にお尋ねください。"}},
    [REASON_MAILBOX_FULL] =
        {{"The recipient's mailbox is full.",
          "Please let the recipient know in another way, and send the message again when there is "
          "room."},
         {"宛先のメールボックスがいっぱいです。",
          "別の方法で相手の方にお知らせになり、空きができてからもう一度お送りください。"}},
    [REASON_TOO_LARGE] =
        {{"The message is larger than the recipient's server accepts.",
          "Please send it with smaller or fewer attachments, or share large files in another way."},
         {"メールが、相手側のサーバーで受け取れる大きさを超えています。",
          "添付ファイルを小さくするか減らしてお送りになるか、大きなファイルは別の方法でお渡しくださ"
          "い。"}},
    [REASON_LIST] = {{"The mailing list behind this address could not pass the message on.",
                      "Please tell the owner of the list."},
                     {"宛先のメーリングリストが、メールを配れませんでした。",
                      "メーリングリストの管理者の方にお知らせください。"}},
    [REASON_SYSTEM_FULL] =
        {{"The receiving server has no room left.",
          "This is not your fault. Please try again later."},
         {"受け取る側のサーバーの空き容量が足りません。",
          "差出人の方に原因はありません。しばらくしてからもう一度お送りください。"}},
    [REASON_SYSTEM] = {{"The receiving server is having trouble or is being serviced.",
                        "This is not your fault. Please try again later."},
                       {"受け取る側のサーバーで障害が起きているか、保守作業が行われています。",
                        "差出人の方に原因はありません。しばらくしてからもう一度お送りください。"}},
    [REASON_NO_CONNECTION] =
        {{"The recipient's server could not be reached.",
          "It may be switched off or cut off. Please check the part of the address after the @, "
          "and try again later."},
         {"相手側のサーバーに接続できませんでした。",
          "停止しているか、通信が途切れている可能性があります。アドレスの @ "
          "より後の部分をお確かめの"
          "うえ、しばらくしてからもう一度お送りください。"}},
    [REASON_CONNECTION_LOST] =
        {{"The connection to the recipient's server broke off during the delivery.",
          "Please try again later. If it happens again, please show this notice to your "
          "administrator."},
         {"配送の途中で、相手側のサーバーとの接続が切れました。",
          "しばらくしてからもう一度お送りください。繰り返すときは、このお知らせを管理者にお見せくだ"
          "さい。"}},
    [REASON_TIMEOUT] = {{"The recipient's server did not answer in time.",
                         "It may be overloaded or switched off. Please try again later."},
                        {"相手側のサーバーから、時間内に応答がありませんでした。",
                         "混み合っているか、停止している可能性があります。しばらくしてからもう一度"
                         "お送りください。"}},
    [REASON_DNS] =
        {{"It could not be found out which server receives mail for the address.",
          "The name service of the recipient's domain is in trouble. Please try again later; if it "
          "lasts, please tell the recipient in another way."},
         {"宛先のドメインのメールを受け取るサーバーを調べられませんでした。",
          "相手側のネームサーバーに問題があるようです。しばらくしてからもう一度お送りになり、続くと"
          "きは"
          "別の方法で相手の方にお知らせください。"}},
    [REASON_NO_MAIL_HOST] =
        {{"The domain of the address (the part after the @) names no mail server that can be used.",
          "Please check the part after the @ for typing errors. If it is right, the domain is set "
          "up "
          "wrongly: please tell the recipient in another way."},
         {"アドレスのドメイン（@ より後の部分）に、利用できるメールサーバーが登録されていません。",
          "@ より後の部分に打ち間違いがないかお確かめください。間違いがなければ、相手側のドメインの"
          "設定に問題がありますので、別の方法で相手の方にお知らせください。"}},
    [REASON_LOOP] =
        {{"The message would go round in a circle between mail servers and was stopped.",
          "The mail of this address is forwarded in a circle, or its domain names a server that "
          "does "
          "not take its mail. Please tell the recipient in another way, or show this notice to "
          "your "
          "administrator."},
         {"メールがサーバーの間を巡り続けてしまうため、配送を中止しました。",
          "宛先の転送設定が循環しているか、ドメインの設定が誤ったサーバーを指しているようです。"
          "別の方法で相手の方にお知らせになるか、このお知らせ"
          "を"
          "管理者にお見せください。"}},
    [REASON_EXPIRED] =
        {{"The message could not be delivered for so long that the server gave up.",
          "Please reach the recipient in another way, or send the message again later."},
         {"長い間お届けできない状態が続いたため、配送を打ち切りました。",
          "別の方法で相手の方にご連絡になるか、日をあらためてもう一度お送りください。"}},
    [REASON_TOO_LATE] =
        {{"The message could not be delivered by the time that you had set for it, so it is "
          "returned to you, as you had asked.",
          "If it still makes sense, please send it again without a time limit, or with a longer "
          "one."},
         {"ご指定の時刻までにお届けできませんでした。ご指定に従い、配送を取りやめてお返しします。",
          "まだお届けする意味がある場合は、時刻を指定しないか、余裕のある時刻を指定して、もう一度"
          "お送りください。"}},
    [REASON_LATE] = {{"The message could not be delivered by the time that you had set for it. It "
                      "is not given up.",
                      ""},
                     {"ご指定の時刻までにお届けできませんでした。配送は引き続き試みます。", ""}},
    [REASON_NO_PROMISE] =
        {{"The message was to be returned if it is late. The recipient's server cannot keep to "
          "that, so the message was not handed over to it.",
          "Please send it again without that condition: you can ask to be told of a delay "
          "instead."},
         {"間に合わないときはお返しするというご指定でしたが、相手側のサーバーが対応していないため、"
          "引き渡しませんでした。",
          "この条件を付けずにもう一度お送りください。遅れたときに知らせる指定なら、どの相手にも"
          "お使いになれます。"}},
    [REASON_PROTOCOL] =
        {{"The mail servers did not understand each other.",
          "You can do little about it: please show this notice to your administrator."},
         {"メールサーバー同士のやり取りがうまくいきませんでした。",
          "お手数ですが、このお知らせを管理者にお見せください。"}},
    [REASON_TOO_MANY_RECIPIENTS] =
        {{"The message had more recipients than the server accepts at once.",
          "Please send it to fewer people at a time."},
         {"一度に送れる宛先の数を超えています。", "宛先を減らし、何回かに分けてお送りください。"}},
    [REASON_CONTENT_TYPE] =
        {{"The recipient's server does not take messages or attachments of this kind.",
          "Please send the message as plain text, or attach the file in another format."},
         {"この種類のメールや添付ファイルは、相手側のサーバーで受け取れません。",
          "本文をテキスト形式にするか、添付ファイルの形式を変えてお送りください。"}},
    [REASON_NO_UTF8] =
        {{"The recipient's server does not support addresses with letters beyond a to z.",
          "Please ask the recipient for an address in plain letters, or send from such an "
          "address."},
         {"相手側のサーバーは、日本語など英数字以外の文字を含むアドレスに対応していません。",
          "英数字だけのアドレスを相手の方にお尋ねになるか、英数字だけのアドレスからお送りください"
          "。"}},
    [REASON_NO_8BIT] =
        {{"The message has characters that the recipient's server cannot carry, and it could not "
          "be "
          "converted without harm.",
          "Please write it anew with another mail program, without unusual characters in the "
          "subject and in the names of attachments."},
         {"相手側のサーバーで扱えない文字が含まれており、安全に変換することもできませんでした。",
          "件名や添付ファイルの名前に特殊な文字を使わず、別のメールソフトで作り直してお送りください"
          "。"}},
    [REASON_AUTHENTICATION] =
        {{"The recipient's server could not verify that the message really comes from your domain "
          "(SPF, DKIM, DMARC).",
          "If you sent it in the usual way, please show this notice to the administrator of your "
          "domain: the DNS records or signatures need mending. Sending through a foreign server or "
          "a forwarder can also be the cause."},
         {"差出人のドメインから送られたメールであることを、相手側のサーバーが確認できませんでした"
          "（SPF・DKIM・DMARC）。",
          "普段どおりの方法でお送りになった場合は、このお知らせをドメインの管理者にお見せください。"
          "DNS "
          "の設定や署名の見直しが必要です。他社のサーバーや転送を経由した場合にも起こります。"}},
    [REASON_REVERSE_DNS] =
        {{"The recipient's server refuses us because the name of our server's address is missing "
          "or "
          "does not match.",
          "Please show this notice to your administrator: the reverse DNS record (PTR) of the "
          "sending server needs mending."},
         {"送信元サーバーの名前が正しく登録されていないとして、相手側のサーバーに拒否されました。",
          "このお知らせを管理者にお見せください。送信元サーバーの逆引き (PTR) の設定を見直す必要が"
          "あります。"}},
    [REASON_TLS] =
        {{"A protected connection to the recipient's server was needed and could not be made.",
          "So that nobody can read along, the message was not sent without it. Please show this "
          "notice to your administrator or tell the recipient in another way."},
         {"相手側のサーバーとの間で、必要な暗号化通信 (TLS) ができませんでした。",
          "内容を守るため、暗号化せずに送ることはしていません。このお知らせを管理者にお見せになるか"
          "、"
          "別の方法で相手の方にお知らせください。"}},
    [REASON_SPAM] =
        {{"The recipient's server took the message for unwanted advertising (spam).",
          "Please send it again in other words, with fewer links and without unusual attachments, "
          "or ask the recipient to allow your address."},
         {"相手側のサーバーで、迷惑メールと判定されました。",
          "文面を変え、リンクや添付ファイルを減らしてお送りになるか、差出人のアドレスを許可していた"
          "だく"
          "よう相手の方にお願いしてください。"}},
    [REASON_VIRUS] =
        {{"The recipient's server found a virus or a dangerous attachment in the message.",
          "Please have your computer checked, and send files of another kind or in another way."},
         {"ウイルス、または危険な添付ファイルが含まれていると判定されました。",
          "お使いの端末のウイルス検査をお願いします。ファイルは形式を変えるか、別の方法でお渡しくだ"
          "さい。"}},
    [REASON_REPUTATION] =
        {{"The recipient's server does not take mail from our server at present: its address is on "
          "a block list or has a bad reputation there.",
          "This is not about your message. Please show this notice to your administrator, who can "
          "ask for the block to be lifted."},
         {"送信元サーバーのアドレスがブロックリストに載っているなどの理由で、相手側のサーバーに拒否"
          "されています。",
          "メールの内容が原因ではありません。このお知らせを管理者にお見せください。管理者が解除を申"
          "請"
          "できます。"}},
    [REASON_RATE] = {{"More mail was sent than the recipient's server accepts in this time.",
                      "Please wait a while, and send to fewer people at a time."},
                     {"短い間に送られたメールの数が、相手側のサーバーの制限を超えました。",
                      "しばらく時間をおき、一度に送る宛先を減らしてお送りください。"}},
    [REASON_GREYLISTED] =
        {{"The recipient's server asks unknown senders to try again after a while.",
          "This is a measure against spam and usually passes by itself."},
         {"相手側のサーバーが、初めての差出人に対して時間をおいた再送を求めています。",
          "迷惑メール対策のための仕組みで、多くの場合は自然に解消します。"}},
    [REASON_RELAY] =
        {{"The server that was asked is not responsible for this address and does not pass mail "
          "on.",
          "Please check the address. If it is right, the recipient's mail is not set up correctly, "
          "or you need to log in for sending: please show this notice to your administrator."},
         {"相手側のサーバーは、このアドレス宛てのメールを取り扱っていません。",
          "アドレスをお確かめください。正しいときは、相手側の設定か送信時の認証に問題がありますので"
          "、"
          "このお知らせを管理者にお見せください。"}},
    [REASON_LOGIN] =
        {{"The server wants a user name and a password before it takes the message.",
          "Please check the account settings of your mail program, or show this notice to your "
          "administrator."},
         {"サーバーが送信時の認証（ユーザー名とパスワード）を求めています。",
          "メールソフトのアカウント設定をお確かめになるか、このお知らせを管理者にお見せください"
          "。"}},
    [REASON_NOT_ALLOWED] =
        {{"The recipient, or the group behind the address, does not take mail from you.",
          "The address may be for members only, or you may have been blocked. Please ask the "
          "recipient in another way."},
         {"宛先の方、または宛先のグループが、差出人からのメールを受け付けていません。",
          "メンバー専用のアドレスか、受信拒否の設定がされている可能性があります。別の方法で相手の方"
          "に"
          "お尋ねください。"}},
    [REASON_POLICY] = {{"The rules of the recipient's server do not allow this message.",
                        "Its answer may say which rule it was. Otherwise please ask the recipient "
                        "in another way, "
                        "or show this notice to your administrator."},
                       {"相手側のサーバーの受信方針により、メールが拒否されました。",
                        "サーバーからの応答に理由が書かれていることがあります。お分かりにならないと"
                        "きは、別の方法で"
                        "相手の方にお尋ねになるか、このお知らせを管理者にお見せください。"}},
};

/* --- rules --- */

/* "5.7.1"; '*' stands for any field. NULL ends a table. */
struct code_rule {
    const char *status;
    enum reason_id reason;
};

/* So precise that no word changes them. */
static const struct code_rule precise_codes[] = {
    {"*.1.1", REASON_NO_USER},
    {"*.1.2", REASON_NO_DOMAIN},
    {"*.1.3", REASON_BAD_ADDRESS},
    {"*.1.6", REASON_MOVED},
    {"*.2.2", REASON_MAILBOX_FULL},
    {"*.2.3", REASON_TOO_LARGE},
    {"*.3.4", REASON_TOO_LARGE},
    {"*.4.3", REASON_DNS}, /* not who timed out, but what: name servers */
    {"*.4.6", REASON_LOOP},
    {"*.4.14", REASON_LOOP}, /* Microsoft: hop count exceeded */
    {"*.5.3", REASON_TOO_MANY_RECIPIENTS},
    {"*.6.7", REASON_NO_UTF8},         /* RFC 6531: non-ASCII addresses */
    {"*.6.9", REASON_NO_UTF8},         /* RFC 6531: non-ASCII header */
    {"*.7.20", REASON_AUTHENTICATION}, /* RFC 7372: DKIM, SPF, several */
    {"*.7.21", REASON_AUTHENTICATION},
    {"*.7.22", REASON_AUTHENTICATION},
    {"*.7.23", REASON_AUTHENTICATION},
    {"*.7.24", REASON_AUTHENTICATION},
    {"*.7.25", REASON_REVERSE_DNS},
    {"*.7.26", REASON_AUTHENTICATION},
    {"*.7.31", REASON_AUTHENTICATION}, /* Gmail: DMARC, alignment */
    {"*.7.32", REASON_AUTHENTICATION},
    {"*.7.509", REASON_AUTHENTICATION}, /* Microsoft: DMARC */
    {"*.7.515", REASON_AUTHENTICATION}, /* Microsoft: rules for large senders */
    {"*.7.28", REASON_RATE},            /* Gmail */
    {"*.7.29", REASON_TLS},             /* Gmail */
    {NULL, REASON_COUNT},
};

/* Parts of the diagnostic in small letters, separated by '|': one of them. The order counts. */
struct word_rule {
    const char *words;
    enum reason_id reason;
};

static const struct word_rule word_rules[] = {
    {"not offer deliver-by|too little is left of the deliver-by", REASON_NO_PROMISE},
    {"deliver-by", REASON_TOO_LATE},
    {"greylist|graylist|grey-list|gray-list|grey list", REASON_GREYLISTED},
    {"null mx|does not accept mail|nullmx", REASON_NO_MAIL_DOMAIN},
    {"hop count|too many hops|mail loop|loops back|loop detected|routing loop|too many received",
     REASON_LOOP},
    {"quota|mailbox full|mailbox is full|inbox is full|inbox full|out of storage|over its limit|"
     "overquota|insufficient disk space for user|mailbox size|容量",
     REASON_MAILBOX_FULL},
    {"spf |spf:|spf)|(spf|dkim|dmarc|sender policy framework|domainkeys|unauthenticated email|"
     "required authentication level|unauthenticated mail",
     REASON_AUTHENTICATION},
    {"reverse dns|ptr record|no ptr|rdns|reverse lookup|reverse hostname|ptr |"
     "cannot find your hostname|client host rejected: cannot find",
     REASON_REVERSE_DNS},
    {"smtputf8|non-ascii address|internationalized|utf-8 address", REASON_NO_UTF8},
    {"8bitmime|8-bit", REASON_NO_8BIT},
    {"virus|malware|infected|dangerous attachment|blocked attachment|attachment type|"
     "prohibited attachment|security issue",
     REASON_VIRUS},
    {"must issue a starttls|starttls first|starttls is required|tls required|requires tls|"
     "tls is required|encryption required|tls handshake|tls negotiation|certificate|dane policy|"
     "dane required|mta-sts|tlsa|requiretls",
     REASON_TLS},
    {"relay access denied|relaying denied|relay denied|unable to relay|relay not permitted|"
     "relaying not allowed|not permitted to relay|no relay|relaying is not|not a relay|"
     "not local host|we do not relay|cannot relay",
     REASON_RELAY},
    {"unexpected volume|user complaints", REASON_RATE},
    {"blacklist|blocklist|block list|black list|blocked using|dnsbl|"
     " rbl|rbl.|-rbl|spamhaus|spamcop|barracudacentral|sorbs|reputation|banned sending|banned "
     "sender|listed at|listed on|listed by|"
     "is listed|on our block|poor ip|your ip|client host|sender score|s3140|s3150|abusix|"
     "been blocked",
     REASON_REPUTATION},
    {"message size|too large|too big|size limit|exceeds maximum|exceeds the maximum|"
     "maximum message|message length",
     REASON_TOO_LARGE},
    {"too many recipients|too many rcpt|recipient limit|recipients limit",
     REASON_TOO_MANY_RECIPIENTS},
    {"rate limit|ratelimit|rate-limit|too many messages|too many connections|too many mails|"
     "too much mail|receiving mail at a rate|receiving mail too quickly|sending limit|"
     "limit exceeded|throttl|too many concurrent|message rate|slow down|too fast|"
     "too many sessions|daily limit|hourly limit|concurrent connections",
     REASON_RATE},
    {"spam|unsolicited|junk|bulk mail|phishing|content rejected|message content|迷惑", REASON_SPAM},
    {"sender address rejected|sender rejected|sender denied|sender domain|invalid sender|"
     "sender verify|envelope sender",
     REASON_BAD_SENDER},
    {"domain not found|nxdomain|host not found|unknown host|no such domain|unknown domain|"
     "domain does not exist|host unknown|name does not exist|dns domain",
     REASON_NO_DOMAIN},
    {"user unknown|unknown user|no such user|user not found|unknown recipient|recipient unknown|"
     "does not exist|doesn't exist|not exist|no mailbox|mailbox not found|mailbox unavailable|"
     "recipientnotfound|recipient not found|invalid recipient|no such recipient|unknown address|"
     "address unknown|no such mailbox|not our customer|not a valid mailbox|no such address|"
     "unrouteable address|undeliverable address|unknown mailbox|invalid mailbox|"
     "unknown local part|not a known user|user doesn|no such local user|recipient rejected|"
     "recipient address rejected: access denied",
     REASON_NO_USER},
    {"disabled|inactive|suspended|deactivated|account closed|not active|expired account|"
     "no longer in use|discontinued",
     REASON_DISABLED},
    {"authentication required|auth required|must authenticate|not logged in|"
     "authenticate first|login required|must login|authentication is required",
     REASON_LOGIN},
    {"not authorized to send|not permitted to send|members only|only members|not a member|"
     "not subscribed|restricted to|sender not allowed|blocked by recipient|"
     "blocked by the recipient|not allowed to post",
     REASON_NOT_ALLOWED},
    {"connection refused|no route to host|network is unreachable|network unreachable|"
     "host is down|host unreachable|unreachable|all servers failed",
     REASON_NO_CONNECTION},
    {"timed out|timeout|time out|time-out", REASON_TIMEOUT},
    {"connection lost|lost connection|connection reset|connection closed|closed connection|"
     "broken pipe|connection dropped|closed the connection|hung up",
     REASON_CONNECTION_LOST},
    {"servfail|dns failure|dns error|name service|lookup fail|lookup error|resolver|"
     "name server|dns lookup|dns query|dnssec|mx lookup|nameserver",
     REASON_DNS},
    {"insufficient system storage|disk full|no space left|insufficient storage",
     REASON_SYSTEM_FULL},
    {"try again later|temporarily unavailable|service unavailable|service not available|"
     "system error|internal error|local error|maintenance|overload|server busy|too busy|"
     "shutting down|resources|temporary failure|temporary problem|temporary error",
     REASON_SYSTEM},
    {"protocol|bad sequence|unrecognized command|unknown command|command not|syntax error",
     REASON_PROTOCOL},
    {"message expired|retry time|retry timeout|gave up|giving up|delivery time expired",
     REASON_EXPIRED},
    {"policy|not accepted|prohibited|administratively", REASON_POLICY},
};

/* Vague codes, after the words; the first that fits. */
static const struct code_rule vague_codes[] = {
    {"2.*.*", REASON_SUCCESS},
    {"*.1.4", REASON_BAD_ADDRESS},
    {"*.1.5", REASON_NO_USER},
    {"*.1.7", REASON_BAD_SENDER},
    {"*.1.8", REASON_BAD_SENDER},
    {"*.1.10", REASON_NO_MAIL_DOMAIN}, /* RFC 7505 */
    {"*.1.*", REASON_NO_USER},
    {"*.2.1", REASON_DISABLED},
    {"*.2.4", REASON_LIST},
    {"*.2.*", REASON_DISABLED},
    {"*.3.1", REASON_SYSTEM_FULL},
    {"*.3.*", REASON_SYSTEM},
    {"*.4.1", REASON_NO_CONNECTION},
    {"*.4.2", REASON_CONNECTION_LOST},
    {"*.4.3", REASON_DNS},
    {"5.4.4", REASON_NO_MAIL_HOST},
    {"*.4.4", REASON_DNS},
    {"*.4.310", REASON_NO_DOMAIN}, /* Microsoft: domain does not exist; then refused connections */
    {"*.4.312", REASON_DNS},
    {"*.4.316", REASON_NO_CONNECTION},
    {"*.4.5", REASON_SYSTEM},
    {"*.4.7", REASON_EXPIRED},
    {"*.4.*", REASON_NO_CONNECTION},
    {"*.5.*", REASON_PROTOCOL},
    {"*.6.3", REASON_NO_8BIT},
    {"*.6.*", REASON_CONTENT_TYPE},
    {"*.7.2", REASON_NOT_ALLOWED}, /* mailing list expansion prohibited */
    {"*.7.4", REASON_TLS},
    {"*.7.5", REASON_TLS},
    {"*.7.8", REASON_LOGIN},
    {"*.7.10", REASON_TLS},
    {"*.7.11", REASON_TLS},
    {"*.7.13", REASON_DISABLED},
    {"*.7.17", REASON_MOVED},          /* RFC 7293: the mailbox has another owner now */
    {"*.7.27", REASON_AUTHENTICATION}, /* Gmail: SPF; RFC 7505 says "null MX", which is a word */
    {"*.7.30", REASON_AUTHENTICATION}, /* Gmail: DKIM; RFC 8689 says "REQUIRETLS" */
    {"*.7.51*", REASON_REPUTATION},    /* Microsoft: blocked senders and addresses */
    {"*.7.60*", REASON_REPUTATION},
    {"*.7.64*", REASON_REPUTATION},
    {"*.7.650", REASON_REPUTATION},
    {"*.7.70*", REASON_REPUTATION},
    {"*.7.12*", REASON_NOT_ALLOWED}, /* Microsoft: sender not in the allowed list */
    {"*.7.13*", REASON_NOT_ALLOWED},
    {"*.7.*", REASON_POLICY},
    {NULL, REASON_COUNT},
};

/* Basic codes (RFC 5321 section 4.2.3) as a status that has the same meaning. */
static const struct {
    uint16_t code;
    enum reason_id reason;
} basic_codes[] = {
    {421, REASON_SYSTEM},
    {450, REASON_UNKNOWN_DELAY},
    {451, REASON_SYSTEM},
    {452, REASON_SYSTEM_FULL},
    {454, REASON_TLS},
    {500, REASON_PROTOCOL},
    {501, REASON_PROTOCOL},
    {502, REASON_PROTOCOL},
    {503, REASON_PROTOCOL},
    {504, REASON_PROTOCOL},
    {521, REASON_NO_MAIL_DOMAIN},
    {523, REASON_TOO_LARGE},
    {530, REASON_LOGIN},
    {535, REASON_LOGIN},
    {551, REASON_MOVED},
    {552, REASON_TOO_LARGE},
    {553, REASON_BAD_ADDRESS},
    {555, REASON_PROTOCOL},
    {556, REASON_NO_MAIL_DOMAIN},
};

/* --- finding --- */

/* One field against a pattern: '*' at its end stands for any digits. */
static bool is_field_match(struct str field, struct str pattern)
{
    if (pattern.len > 0 && pattern.ptr[pattern.len - 1] == '*') {
        pattern.len--;
        return str_has_prefix(field, pattern);
    }
    return str_eq(field, pattern);
}

static bool is_status_match(struct str status, struct str pattern)
{
    for (int i = 0; i < 3; i++) {
        struct str field, wanted;
        (void)str_cut(status, '.', &field, &status);
        (void)str_cut(pattern, '.', &wanted, &pattern);
        if (!is_field_match(field, wanted))
            return false;
    }
    return true;
}

static enum reason_id find_code(struct str status, const struct code_rule *rules)
{
    for (; rules->status != NULL && status.len > 0; rules++) {
        if (is_status_match(status, str_from_c(rules->status)))
            return rules->reason;
    }
    return REASON_COUNT;
}

static bool has_word(struct str text, struct str words)
{
    struct str word;

    while (words.len > 0) {
        (void)str_cut(words, '|', &word, &words);
        if (memmem(text.ptr, text.len, word.ptr, word.len) != NULL)
            return true;
    }
    return false;
}

static enum reason_id find_words(struct str diagnostic)
{
    char lower[DIAGNOSTIC_MAX_BYTES];
    struct str text = {lower, MIN(diagnostic.len, sizeof(lower))};

    for (size_t i = 0; i < text.len; i++)
        lower[i] = diagnostic.ptr[i] == '\n' ? ' ' : ascii_lower(diagnostic.ptr[i]);
    for (size_t i = 0; i < ARRAY_LEN(word_rules); i++) {
        if (has_word(text, str_from_c(word_rules[i].words)))
            return word_rules[i].reason;
    }
    return REASON_COUNT;
}

static bool is_code_char(char c)
{
    return ascii_is_digit(c) || c == '.';
}

/* Codes at the front of a reply: "550 5.1.1 text", "550-5.1.1 text". Absent ones are 0 and "". */
static uint16_t take_codes(struct str diagnostic, struct str *out_status)
{
    struct cursor c = cursor_from(str_trim(diagnostic));
    uint64_t code = 0;

    *out_status = STR("");
    struct str digits = cursor_take_while(&c, ascii_is_digit);
    if (digits.len != 3 || str_to_u64(digits, 599, &code) < 0)
        return 0;
    if (!cursor_take_if(&c, ' '))
        (void)cursor_take_if(&c, '-');
    struct str status = cursor_take_while(&c, is_code_char);
    struct str first, rest, second, third;
    if (str_cut(status, '.', &first, &rest) && str_cut(rest, '.', &second, &third) &&
        first.len == 1 && second.len > 0 && third.len > 0)
        *out_status = status;
    return (uint16_t)code;
}

static enum reason_id find_basic(uint16_t code)
{
    for (size_t i = 0; i < ARRAY_LEN(basic_codes); i++) {
        if (basic_codes[i].code == code)
            return basic_codes[i].reason;
    }
    return REASON_COUNT;
}

/* "5.0.0" and the like say no more than the class. */
static bool is_empty_status(struct str status)
{
    return status.len == 0 || is_status_match(status, STR("*.0.0"));
}

/* What the words mean as long as there is hope: "450 mailbox unavailable" is not the end of the
 * mailbox. */
static enum reason_id soften(enum reason_id id)
{
    if (id == REASON_NO_USER)
        return REASON_UNKNOWN_DELAY;
    return id == REASON_TOO_LATE ? REASON_LATE : id;
}

static enum reason_id find_reason(struct str status, struct str diagnostic)
{
    struct str own_status;
    uint16_t code = take_codes(diagnostic, &own_status);

    if (is_empty_status(status) && own_status.len > 0)
        status = own_status;
    if (status.len > 0 && status.ptr[0] == '2')
        return REASON_SUCCESS;
    bool is_delay = status.len > 0 ? status.ptr[0] == '4' : code / 100 == 4;
    enum reason_id id = find_code(status, precise_codes);
    if (id == REASON_COUNT) {
        id = find_words(diagnostic);
        id = is_delay ? soften(id) : id;
    }
    if (id == REASON_COUNT && !is_empty_status(status))
        id = find_code(status, vague_codes);
    if (id == REASON_COUNT)
        id = find_basic(code);
    if (id != REASON_COUNT)
        return id;
    return is_delay ? REASON_UNKNOWN_DELAY : REASON_UNKNOWN_FAILURE;
}

struct dsn_reason dsn_explain(struct str status, struct str diagnostic, enum dsn_language language)
{
    return reasons[find_reason(status, diagnostic)][language == DSN_JAPANESE];
}
