-- MariaDB dump 10.19  Distrib 10.11.6-MariaDB, for debian-linux-gnu (x86_64)
--
-- Host: localhost    Database: powergslb
-- ------------------------------------------------------
-- Server version	10.11.6-MariaDB
/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
/*!40014 SET @OLD_FOREIGN_KEY_CHECKS=@@FOREIGN_KEY_CHECKS, FOREIGN_KEY_CHECKS=0 */;

DROP TABLE IF EXISTS `domains`;
CREATE TABLE `domains` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `domain` varchar(255) NOT NULL,
  `description` varchar(255) NOT NULL DEFAULT '',
  PRIMARY KEY (`id`),
  UNIQUE KEY `domains_domain_uindex` (`domain`)
) ENGINE=InnoDB AUTO_INCREMENT=2 DEFAULT CHARSET=utf8mb4;
LOCK TABLES `domains` WRITE;
/*!40000 ALTER TABLE `domains` DISABLE KEYS */;
INSERT INTO `domains` VALUES
(1,'example.com','the shop; it''s "ours"');
/*!40000 ALTER TABLE `domains` ENABLE KEYS */;
UNLOCK TABLES;

DROP TABLE IF EXISTS `types`;
CREATE TABLE `types` (
  `value` int(11) NOT NULL,
  `type` varchar(16) NOT NULL,
  `description` varchar(255) NOT NULL,
  PRIMARY KEY (`value`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
INSERT INTO `types` VALUES
(1,'A','Address record'),
(2,'NS','Name server record'),
(5,'CNAME','Canonical name record'),
(6,'SOA','Start of authority record'),
(15,'MX','Mail exchange record'),
(16,'TXT','Text record'),
(28,'AAAA','IPv6 address record'),
(33,'SRV','Service record');

DROP TABLE IF EXISTS `users`;
CREATE TABLE `users` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `user` varchar(255) NOT NULL,
  `name` varchar(255) NOT NULL,
  `password` varchar(255) NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
INSERT INTO `users` VALUES
(1,'admin','Administrator','$6$salt$secrethash');

DROP TABLE IF EXISTS `views`;
CREATE TABLE `views` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `view` varchar(255) NOT NULL,
  `rule` varchar(255) NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
INSERT INTO `views` VALUES
(1,'Public','0.0.0.0/0 ::/0'),
(2,'Private','10.0.0.0/8 172.16.0.0/12 192.168.0.0/16'),
(3,'Europe','country:DE country:FR continent:EU');

DROP TABLE IF EXISTS `monitors`;
CREATE TABLE `monitors` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `monitor` varchar(255) NOT NULL,
  `monitor_json` varchar(1024) NOT NULL CHECK (json_valid(`monitor_json`)),
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
INSERT INTO `monitors` VALUES
(1,'No check','{\"type\": \"none\"}'),
(2,'Command','{\"type\": \"exec\", \"args\": [\"/etc/powergslb/powergslb-check\", \"${content}\", \"100%\"], \"expected_code\": 2}'),
(3,'ICMP ping','{\"type\": \"icmp\", \"ip\": \"${content}\"}'),
(4,'HTTP request /status','{\"type\": \"http\", \"url\": \"http://${content}/status\"}'),
(5,'TCP 80','{\"type\": \"tcp\", \"ip\": \"${content}\", \"port\": 80}'),
(6,'TLS 443','{\"type\": \"tls\", \"ip\": \"${content}\", \"port\": 443, \"host\": \"www.example.com\"}'),
(7,'Health','{\"type\": \"http\", \"url\": \"https://${content}/health\", \"method\": \"GET\", \"expected_status\": \"200,301-308\", \"body_match\": \"\\\"status\\\":\\\\s*\\\"ok\\\"\", \"tls_verify\": false, \"host\": \"health.example.com\", \"interval\": 5, \"fall\": 2}'),
(8,'Origin','{\"type\": \"http\", \"url\": \"https://origin.example.com/health\"}'),
(9,'Gateway','{\"type\": \"icmp\", \"ip\": \"192.0.2.254\"}');

DROP TABLE IF EXISTS `routings`;
CREATE TABLE `routings` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `policy` varchar(255) NOT NULL,
  `policy_json` varchar(1024) NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
INSERT INTO `routings` VALUES
(1,'Round robin','{\"type\": \"round-robin\"}'),
(2,'Weighted','{\"type\": \"weighted-random\"}'),
(3,'Sticky','{\"type\": \"sticky-hash\", \"max_answers\": 2, \"ipv4_prefix\": 16}');

DROP TABLE IF EXISTS `rrsets`;
CREATE TABLE `rrsets` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `domain_id` int(11) NOT NULL,
  `name` varchar(255) NOT NULL,
  `type_value` int(11) NOT NULL,
  `ttl` int(10) unsigned NOT NULL,
  `routing_id` int(11) NOT NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `rrsets_domains_id_fk` FOREIGN KEY (`domain_id`) REFERENCES `domains` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
INSERT INTO `rrsets` VALUES
(1,1,'@',6,86400,1),
(2,1,'@',2,3600,1),
(3,1,'ns1',1,300,1),
(4,1,'@',15,3600,1),
(5,1,'@',16,3600,1),
(6,1,'www',1,60,1),
(7,1,'tiers',1,60,1),
(8,1,'weighted',1,60,2),
(9,1,'sticky',28,60,3),
(10,1,'inside',1,60,1),
(11,1,'europe',1,60,1),
(12,1,'mobile',5,3600,1),
(13,1,'mixed',1,60,1),
(14,1,'origin',1,60,1),
(15,1,'gated',1,60,1),
(16,1,'_sip._tcp',33,3600,1),
(17,1,'off',1,60,1),
(18,1,'run',1,60,1),
(19,1,'secure',1,60,1),
(20,1,'alias',5,60,1);

DROP TABLE IF EXISTS `records`;
CREATE TABLE `records` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `rrset_id` int(11) NOT NULL,
  `content` varchar(255) NOT NULL,
  `monitor_id` int(11) NOT NULL,
  `view_id` int(11) NOT NULL,
  `disabled` tinyint(1) NOT NULL DEFAULT 0,
  `weight` int(10) unsigned NOT NULL DEFAULT 0,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
INSERT INTO `records` VALUES
(1,1,'ns1.example.com. hostmaster.example.com. 2016010101 21600 3600 1209600 300',1,1,0,0),
(2,2,'ns1.example.com',1,1,0,0),
(3,2,'ns2.example.net',1,1,0,0),
(4,3,'192.0.2.53',1,1,0,0),
(5,4,'10 mail1.example.net',1,1,0,0),
(6,5,'v=spf1 ip4:192.0.2.0/24 ~all',1,1,0,0),
(7,6,'192.0.2.1',4,1,0,0),
(8,6,'192.0.2.2',4,1,0,0),
(9,7,'192.0.2.1',5,1,0,10),
(10,7,'192.0.2.2',5,1,0,5),
(11,7,'192.0.2.99',1,1,0,0),
(12,8,'192.0.2.1',7,1,0,30),
(13,8,'192.0.2.2',7,1,0,10),
(14,9,'2001:db8::1',3,1,0,0),
(15,9,'2001:db8::2',3,1,0,0),
(16,9,'2001:db8::3',3,1,0,0),
(17,10,'192.0.2.1',5,1,0,0),
(18,10,'10.0.0.1',5,2,0,0),
(19,11,'192.0.2.1',5,1,0,0),
(20,11,'192.0.2.3',5,3,0,0),
(21,12,'www.example.com',1,1,0,0),
(22,13,'192.0.2.1',5,1,0,0),
(23,13,'192.0.2.2',3,1,0,0),
(24,14,'192.0.2.1',8,1,0,0),
(25,15,'192.0.2.1',9,1,0,0),
(26,16,'10 100 5060 sip.example.net',1,1,0,0),
(27,17,'192.0.2.1',1,1,1,0),
(28,18,'192.0.2.1',2,1,0,0),
(29,19,'192.0.2.1',6,1,0,0),
(30,20,'inner.example.com',1,2,0,0),
(31,20,'outer.example.com',1,1,0,0);

DELIMITER ;;
/*!50003 CREATE*/ /*!50003 TRIGGER `records_after_delete` AFTER DELETE ON `records` FOR EACH ROW
BEGIN
  IF NOT EXISTS (SELECT 1 FROM `records` WHERE `rrset_id` = OLD.`rrset_id`) THEN
    DELETE FROM `rrsets` WHERE `id` = OLD.`rrset_id`;
  END IF;
END */;;
DELIMITER ;
/*!40101 SET CHARACTER_SET_CLIENT=@OLD_CHARACTER_SET_CLIENT */;

-- Dump completed on 2026-01-20 19:11:03
